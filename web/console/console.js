// The console's pages: times in the viewer's own zone, forms that survive a restart of the server, and a page that
// says when it is out of date.

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
/** A page asks this often whether the server is there and the person still signed in. */
const WATCH_MS = 15_000;
const PATIENCE_MS = 10_000;

const element = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** Show every instant in the viewer's zone; the text that the server sent, in UTC, becomes the title. */
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

/** A live token: of a user, or of the console itself. */
export async function token(user = "") {
  const answer = await fetch(`/console/token.json?user=${encodeURIComponent(user)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return (await answer.json()).token;
}

// ---- a page that is out of date says so ----

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
let answeredAt = Date.now();

/** Say that what the page shows is not what is now, and grey it. */
function complain(...what) {
  main.classList.add("stale");
  const text = what.map((one) => one.textContent ?? one).join("");
  if (trouble.textContent !== text) trouble.replaceChildren(...what); // a live region speaks on every write
  trouble.hidden = false;
}

/** The server gave an answer to a page that is watched. */
export function answered() {
  answeredAt = Date.now();
  main.classList.remove("stale");
  trouble.hidden = true;
  trouble.replaceChildren();
}

/** The server gave none. */
export function silent() {
  complain(`No answer since ${clock.format(answeredAt)}. What stands here may be old.`);
}

/** The session is over. */
export function signedOut() {
  const next = encodeURIComponent(location.pathname + location.search);
  complain("You are signed out. ", element("a", { href: `/console/sign-in?next=${next}`, textContent: "Sign in" }), " to go on.");
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

// The overview asks for its figures anyway.
if (document.querySelector("header .who") && !document.querySelector("[data-watches-itself]")) {
  watching = setTimeout(watch, WATCH_MS);
  document.addEventListener("visibilitychange", watch);
}

// ---- forms ----

/** Send a form as it stands and show what came; where nothing comes, everything typed stays. A form has a name of
 *  its own, so that one that arrived although its answer did not is not carried out again. */
async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form, button));
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body: fields, cache: "no-store" });
  } catch {
    return "The server did not answer. What you typed is kept: try again in a moment.";
  }
  if (answer.redirected) {
    location.assign(answer.url);
    return "";
  }
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = next.getElementById("main");
  if (!content) return `The server answered ${answer.status}. What you typed is kept: try again in a moment.`;
  if (answer.status >= 500) return `${content.querySelector(".lead")?.textContent ?? answer.status} What you typed is kept.`;
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

// ---- what can be taken back for a minute ----

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
  token().then((found) => board.setAttribute("token", found), () => {}); // the page's own watch says what is wrong
}
