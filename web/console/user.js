// The page of one user: numbers are updated live, and sections are reloaded after them.

import { LiveClient } from "/shared/live.js";
import { answered, localTimes, signedOut, silent, token } from "./console.js";

/** Least time between two reloads of the sections: an app may post many events a second. */
const REFRESH_MS = 3000;
/** Least time between two announcements to screen readers. */
const SAY_MS = 5000;
/** Leaderboards whose rank is updated live. Each takes a channel of the connection. */
const LIVE_PLACES = 30;

const root = document.querySelector("[data-user]");
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });

/** Whether a section has focus, a selection or changed fields: then it must not be replaced. */
function inUse(section) {
  const selection = document.getSelection();
  if (section.contains(document.activeElement)) return true;
  if (selection && !selection.isCollapsed && section.contains(selection.anchorNode)) return true;
  return [...section.querySelectorAll("input, select")].some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== (field.defaultValue ?? field.value));
}

/** Fetch the page again and replace the sections that have changed. */
async function reload() {
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

/** Reload the sections, one reload at a time and `REFRESH_MS` apart, and not while the page is hidden. A request
 *  during a reload causes another one. */
let wanted = false;
let busy = false;
async function refresh() {
  wanted = true;
  if (busy || document.hidden) return;
  busy = true;
  while (wanted && !document.hidden) {
    // Wait first: Postgres lags by a moment, and events come in bursts.
    await new Promise((resolve) => { setTimeout(resolve, REFRESH_MS); });
    wanted = false;
    await reload().catch(silent);
  }
  busy = false;
}

const unsaid = new Map();
let saying;
/** Announce a change to screen readers, together with others of the next seconds. */
function say(name, value) {
  unsaid.set(name, value);
  saying ??= setTimeout(() => {
    saying = undefined;
    document.getElementById("live-summary").textContent = [...unsaid].map(([name, text]) => `${name}: ${text}`).join(", ");
    unsaid.clear();
  }, SAY_MS);
}

/** Update a number on the page, and announce it. */
function put(selector, value, name) {
  const place = root.querySelector(selector);
  if (!place || value === undefined) return;
  const text = value === null ? "–" : number.format(value);
  if (place.textContent === text) return;
  place.textContent = text;
  say(name ?? place.closest("tr")?.querySelector("th")?.textContent ?? "", text);
}

/** Update the numbers from an event's answer. */
function onEvent(event) {
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
// Events may have been missed between the page's load, or a lost connection, and each new subscription: reload.
client.subscribe(`user#${encodeURIComponent(user)}`, {}, { onSnapshot: refresh, onPublication: onEvent });
for (const cell of [...root.querySelectorAll("[data-rank]")].slice(0, LIVE_PLACES)) {
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
