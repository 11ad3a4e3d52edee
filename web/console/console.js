// The console's pages: times in the viewer's own zone.

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

localTimes();
const board = document.querySelector("podium-leaderboard[data-console]");
if (board) {
  board.getToken = () => token();
  token().then((found) => board.setAttribute("token", found));
}
