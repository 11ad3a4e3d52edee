// The page of one user: figures that follow the user live, and sections that are looked at again behind them.

import { LiveClient } from "/shared/live.js";
import { answered, localTimes, signedOut, silent, token } from "./console.js";

/** After a change the page is looked at again, at most this often: an app may post many events a second. */
const REFRESH_MS = 3000;
/** A screen reader is told at most this often. */
const SAY_MS = 5000;
/** Own places that are followed on one connection. */
const FOLLOWED = 30;

const root = document.querySelector("[data-user]");
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });

/** Whether somebody is using a section: it must not be taken from under their hands. */
function inUse(section) {
  const selection = document.getSelection();
  if (section.contains(document.activeElement)) return true;
  if (selection && !selection.isCollapsed && section.contains(selection.anchorNode)) return true;
  return [...section.querySelectorAll("input, select")].some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== (field.defaultValue ?? field.value));
}

/** Load the page anew and put its sections in the place of ours. */
async function look() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (answer.redirected) {
    signedOut();
    return;
  }
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  answered();
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("section[data-live]")) {
    const section = next.getElementById(old.id);
    if (!section || inUse(old)) continue;
    localTimes(section);
    if (old.innerHTML === section.innerHTML) continue;
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    [...section.querySelectorAll("details")].forEach((one, at) => { one.open = open[at] ?? false; });
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    old.replaceWith(document.adoptNode(section));
    [...section.querySelectorAll(".scroll")].forEach((one, at) => { one.scrollLeft = scrolled[at] ?? 0; });
  }
}

/** `look`, one at a time, `REFRESH_MS` apart, not behind another window; what is asked for meanwhile comes after. */
let wanted = false;
let busy = false;
async function refresh() {
  wanted = true;
  if (busy || document.hidden) return;
  busy = true;
  while (wanted && !document.hidden) {
    // First the wait: Postgres is a moment behind, and events come in bursts.
    await new Promise((resolve) => { setTimeout(resolve, REFRESH_MS); });
    wanted = false;
    await look().catch(silent);
  }
  busy = false;
}

const told = new Map();
let saying;
/** Tell a screen reader what has changed, all of it at once. */
function say(what, value) {
  told.set(what, value);
  saying ??= setTimeout(() => {
    saying = undefined;
    document.getElementById("live-summary").textContent = [...told].map(([name, text]) => `${name}: ${text}`).join(", ");
    told.clear();
  }, SAY_MS);
}

/** Put a figure where it stands, and tell. */
function put(selector, value, name) {
  const place = root.querySelector(selector);
  if (!place || value === undefined) return;
  const text = value === null ? "–" : number.format(value);
  if (place.textContent === text) return;
  place.textContent = text;
  say(name ?? place.closest("tr")?.querySelector("th")?.textContent ?? "", text);
}

/** An event of the user, as its answer was. */
function changed(event) {
  put("[data-streak]", event.currentStreak?.length, "Streak");
  for (const [key, points] of Object.entries(event.points ?? {})) {
    put(`[data-points="${CSS.escape(key)}"]`, points.total, points.name);
  }
  for (const [key, board] of Object.entries(event.leaderboards ?? {})) put(`[data-rank="${CSS.escape(key)}"]`, board.rank);
  refresh();
}

const user = root.dataset.user;
const url = new URL("/connection/websocket", location.href);
url.protocol = url.protocol.replace("http", "ws");
const client = new LiveClient(url.href, { getToken: () => token(user) });
// Between the page and its subscription, the first one and each after a break, events may have been missed.
client.subscribe(`user#${encodeURIComponent(user)}`, {}, { onSnapshot: refresh, onPublication: changed });
for (const cell of [...root.querySelectorAll("[data-rank]")].slice(0, FOLLOWED)) {
  const key = cell.dataset.rank;
  const follow = ({ rank, value }) => {
    put(`[data-rank="${CSS.escape(key)}"]`, rank);
    put(`[data-value="${CSS.escape(key)}"]`, value);
  };
  const channel = `leaderboard:${encodeURIComponent(key)}${cell.dataset.group ?? ""}#${encodeURIComponent(user)}`;
  client.subscribe(channel, { around: 0 }, { onSnapshot: follow, onPublication: follow, onError: () => {} });
}
client.connect();
document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) refresh(); });
for (const calendar of root.querySelectorAll("svg.calendar")) calendar.parentElement.scrollLeft = calendar.parentElement.scrollWidth;
