// All pages of the console: times in the viewer's own zone, forms that survive a restart of the server, and a notice
// when the page is out of date.

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
/** Interval of the checks that the server answers and that the session is still valid. */
const WATCH_MS = 15_000;
const PATIENCE_MS = 10_000;

const element = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** Show every instant in the viewer's time zone; the server's text, in UTC, becomes the title. */
export function localTimes(root = document) {
  const theirs = document.querySelector("[data-zone]")?.dataset.zone;
  const there = theirs && theirs !== zone.resolvedOptions().timeZone
    ? new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: theirs })
    : null;
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const instant = new Date(time.dateTime);
    const short = "clock" in time.dataset;
    time.title = time.textContent;
    time.textContent = short ? clock.format(instant) : zone.format(instant) + (there ? ` (there ${there.format(instant)})` : "");
  }
}

/** Fetch a live token, of a user or of the console itself. */
export async function token(user = "") {
  const answer = await fetch(`/console/token.json?user=${encodeURIComponent(user)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return (await answer.json()).token;
}

// ---- the notice on a page that is out of date ----

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
let answeredAt = Date.now();

/** Show a notice that the page is out of date, and grey the page. */
function showTrouble(...content) {
  main.classList.add("stale");
  const text = content.map((one) => one.textContent ?? one).join("");
  if (trouble.textContent !== text) trouble.replaceChildren(...content); // a live region is read aloud on every write
  trouble.hidden = false;
}

/** Remove the notice: the server has answered. */
export function answered() {
  answeredAt = Date.now();
  main.classList.remove("stale");
  trouble.hidden = true;
  trouble.replaceChildren();
}

/** Show that the server does not answer. */
export function silent() {
  showTrouble(`No answer since ${clock.format(answeredAt)}. This page may be out of date.`);
}

/** Show that the session has ended. */
export function signedOut() {
  const next = encodeURIComponent(location.pathname + location.search);
  showTrouble("You are signed out. ", element("a", { href: `/console/sign-in?next=${next}`, textContent: "Sign in" }), " to go on.");
}

let watching;
async function watch() {
  clearTimeout(watching);
  if (document.hidden) return;
  try {
    const answer = await fetch("/console/session.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 401) signedOut();
    else if (answer.ok) answered();
    else silent();
  } catch {
    silent();
  }
  watching = setTimeout(watch, WATCH_MS);
}

// The overview polls its own data, which tells the same.
if (document.querySelector("header .who") && !document.querySelector("[data-watches-itself]")) {
  watching = setTimeout(watch, WATCH_MS);
  document.addEventListener("visibilitychange", watch);
}

// ---- forms ----

/** Send a form and show the answer. Without an answer the form and its input stay. It can be sent again safely: a
 *  form has a unique id, by which the server carries it out once. */
async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form, button));
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body: fields, cache: "no-store" });
  } catch {
    return "The server did not answer. Your input is kept: try again in a moment.";
  }
  if (answer.redirected) {
    location.assign(answer.url);
    return "";
  }
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = next.getElementById("main");
  if (!content) return `The server answered ${answer.status}. Your input is kept: try again in a moment.`;
  if (answer.status >= 500) return `${content.querySelector(".lead")?.textContent ?? answer.status} Your input is kept.`;
  document.title = next.title;
  content.querySelector("#trouble")?.remove();
  main.replaceChildren(trouble, ...content.childNodes);
  localTimes(main);
  (main.querySelector("[autofocus] input, [autofocus], [role=alert]:not([hidden]), #preview") ?? main).focus();
  scrollTo(0, 0);
  return "";
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post" || !form.closest("#main") || !form.elements.csrf) return;
  event.preventDefault();
  if (form.dataset.sending) return;
  form.dataset.sending = "true";
  const problem = await send(form, event.submitter);
  delete form.dataset.sending;
  if (!problem) return;
  const notice = form.querySelector("[data-problem]") ?? element("p", { className: "notice", role: "alert" });
  notice.dataset.problem = "";
  notice.textContent = problem;
  form.prepend(notice);
});

// ---- the countdown of an undo ----

for (const offer of document.querySelectorAll("[data-until]")) {
  const left = offer.querySelector("[data-left]");
  const tick = () => {
    const seconds = Math.ceil((Number(offer.dataset.until) - Date.now()) / 1000);
    if (seconds <= 0) offer.remove();
    else {
      left.textContent = ` (${seconds} s)`;
      setTimeout(tick, 1000);
    }
  };
  tick();
}

localTimes();
const board = document.querySelector("podium-leaderboard[data-console]");
if (board) {
  board.getToken = () => token();
  token().then((found) => board.setAttribute("token", found), () => {}); // watch() shows the problem
}
