// The API reference: search, copying, links that open what they lead to, and requests from the page itself.
// All of its text is there without this script.

const search = document.getElementById("search");
const found = document.getElementById("found");
const entries = [...document.querySelectorAll("main details")];
const subjects = [...document.querySelectorAll("main section")];
const here = "http://localhost:8000";

/** An element with properties and children. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// ---- search ----

const texts = new Map();

function textOf(entry) {
  if (!texts.has(entry)) texts.set(entry, entry.textContent.toLowerCase());
  return texts.get(entry);
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => textOf(entry).includes(word));
    if (!entry.hidden && entry.matches(".operation")) shown += 1;
  }
  for (const section of subjects) {
    section.hidden = words.length > 0 && !section.querySelector("details:not([hidden])");
  }
  found.textContent = words.length ? `${shown} of ${document.querySelectorAll(".operation").length} operations` : "";
  document.getElementById("none").hidden = subjects.some((section) => !section.hidden);
}

search.hidden = document.querySelector("label[for=search]").hidden = false;
search.addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
  if (event.key === "Escape" && event.target === search) {
    search.value = "";
    filter();
  }
});

// ---- links ----

/** Open what the address names, also where a search hides it. */
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("[hidden]") || target.hidden) {
    search.value = "";
    filter();
  }
  if (target.matches("details")) target.open = true;
  target.scrollIntoView();
}

addEventListener("hashchange", reveal);

// ---- copying ----

function copyButton(pre) {
  const button = element("button", { type: "button", className: "copy", textContent: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pre.querySelector("code")); // no clipboard without TLS: select it for Ctrl-C
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  });
  pre.append(button);
}

// ---- requests ----

/** The key of all forms: it stays in this page and is forgotten with it. */
let apiKey = "";

function keyInput() {
  const input = element("input", { type: "password", className: "key", autocomplete: "off", value: apiKey });
  input.addEventListener("input", () => {
    apiKey = input.value;
    for (const other of document.querySelectorAll("input.key")) other.value = apiKey;
  });
  return element("label", {}, "Key (kept in this page only)", input);
}

/** The form that sends one operation from here, with the example filled in. */
function tryForm(operation) {
  const inputs = [...operation.querySelectorAll("tr[data-in]")].map((row) => {
    const { in: place, name, example } = row.dataset;
    const input = element("input", { value: example, autocomplete: "off", spellcheck: false });
    return { place, name, input, label: element("label", {}, `${name} (${place})`, input) };
  });
  const example = operation.querySelector("pre.body code");
  const body = example && element("textarea", { value: example.textContent, spellcheck: false });
  const status = element("p", { role: "status" });
  const answer = element("pre", { hidden: true, tabIndex: 0 }, element("code"));
  const send = element("button", { type: "submit", className: "send", textContent: "Send" });
  const form = element("form", { className: "try" });
  form.append(keyInput(), ...inputs.map((one) => one.label));
  if (body) form.append(element("label", {}, "Body", body));
  form.append(element("div", { className: "buttons" }, send, status), answer);
  copyButton(answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    status.textContent = "Sending";
    answer.hidden = true;
    try {
      const sent = performance.now();
      const response = await fetch(addressOf(operation, inputs), request(operation, inputs, body));
      const text = await response.text();
      status.textContent = `${response.status} ${response.statusText}, ${Math.round(performance.now() - sent)} ms`;
      answer.querySelector("code").textContent = indented(text);
      answer.hidden = !text;
    } catch (error) {
      status.textContent = `Not sent: ${error.message}`;
    }
    send.disabled = false;
  });
  return form;
}

function addressOf(operation, inputs) {
  let path = operation.dataset.path;
  const query = new URLSearchParams();
  for (const { place, name, input } of inputs) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    if (place === "query" && input.value) query.append(name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

function request(operation, inputs, body) {
  const headers = new Headers();
  if (apiKey) headers.set("X-API-KEY", apiKey);
  if (body) headers.set("Content-Type", "application/json");
  for (const { place, name, input } of inputs) {
    if (place === "header" && input.value) headers.set(name, input.value);
  }
  return { method: operation.dataset.method, headers, body: body?.value, credentials: "omit", cache: "no-store" };
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// ---- an operation that is opened ----

/** Give an operation its buttons and this server's address, when it is first looked at. */
function prepare(details) {
  if (details.dataset.prepared) return;
  details.dataset.prepared = "true";
  for (const code of details.querySelectorAll("pre.command code")) {
    code.textContent = code.textContent.replace(here, location.origin);
  }
  for (const pre of details.querySelectorAll("pre:not(.body)")) copyButton(pre);
  if (!details.querySelector("pre.answer")) return; // a stream never ends
  const open = element("button", { type: "button", textContent: "Try it" });
  open.setAttribute("aria-expanded", "false");
  const command = details.querySelector("pre.command");
  let form;
  open.addEventListener("click", () => {
    if (!form) command.after((form = tryForm(details)));
    else form.hidden = !form.hidden;
    open.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.querySelector("input").focus();
  });
  command.before(open);
}

document.addEventListener("toggle", (event) => event.target.open && prepare(event.target), true);
for (const pre of document.querySelectorAll("#calls pre")) copyButton(pre);
reveal();

// ---- where the reader is ----

const watcher = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      for (const link of document.querySelectorAll("nav a")) {
        if (link.hash === `#${target.id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  },
  { rootMargin: "-25% 0px -74% 0px" },
);
for (const section of subjects) watcher.observe(section);
