// The console's pages: times in the viewer's own zone, figures that move.

const POLL_MS = 2000;
const SAMPLES = 120;
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Show every instant in the viewer's zone; the text that the server sent, in UTC, becomes the title. */
export function localTimes(root = document) {
  const theirs = document.querySelector("[data-zone]")?.dataset.zone;
  const there = theirs && theirs !== zone.resolvedOptions().timeZone
    ? new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: theirs })
    : null;
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const instant = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = zone.format(instant) + (there ? ` (there ${there.format(instant)})` : "");
  }
}

/** A live token: of a user, or of the console itself. */
export async function token(user = "") {
  const answer = await fetch(`/console/token.json?user=${encodeURIComponent(user)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return (await answer.json()).token;
}

function overview(root) {
  const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
  const line = root.querySelector("#rate-chart .line");
  const rates = [];
  let last = JSON.parse(root.dataset.numbers);
  const put = (name, value) => {
    root.querySelector(`[data-figure=${name}]`).textContent = value === null ? "–" : number.format(value);
  };
  const look = async () => {
    const answer = await fetch("/console/overview.json", { cache: "no-store" });
    if (!answer.ok) return;
    const now = await answer.json();
    const rate = Math.max(0, (now.events - last.events) / Math.max(0.001, (now.atMs - last.atMs) / 1000));
    last = now;
    rates.push(rate);
    if (rates.length > SAMPLES) rates.shift();
    const most = Math.max(1, ...rates);
    line.setAttribute("points", rates.map((one, at) =>
      `${(640 - (rates.length - 1 - at) * (640 / (SAMPLES - 1))).toFixed(1)},${(154 - (one / most) * 148).toFixed(1)}`).join(" "));
    put("rate", rate);
    for (const name of ["events", "users", "logEntries", "flushLagS"]) put(name, now[name]);
    for (const name of ["day", "week", "month"]) put(name, now.active[name]);
    const health = root.querySelector("[data-health]");
    const rows = [...Object.entries(now.health).map(([name, part]) => [part.status, name + (part.detail ? `: ${part.detail}` : "")]),
      ...now.warnings.map((text) => ["missing", text])];
    health.replaceChildren(...rows.map(([status, text]) => {
      const item = document.createElement("li");
      const mark = Object.assign(document.createElement("span"), { className: `state ${status}`, textContent: status });
      item.append(mark, ` ${text}`);
      return item;
    }));
  };
  setInterval(() => { if (!document.hidden) look().catch(() => {}); }, POLL_MS);
  look().catch(() => {});
}

localTimes();
const board = document.querySelector("podium-leaderboard[data-console]");
if (board) {
  board.getToken = () => token();
  token().then((found) => board.setAttribute("token", found));
}
const figures = document.getElementById("overview");
if (figures) overview(figures);
