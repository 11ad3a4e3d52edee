// The live leaderboard of a page: each row leads to the page of its user, by a link that covers the row.

const STYLE = `
.open { position: absolute; inset: 0; }
.open:focus-visible { outline: 3px solid var(--_accent); outline-offset: -3px; }
.open:hover { background: color-mix(in srgb, var(--_accent) 6%, transparent); }
`;

function cover(row) {
  const { userId } = row.dataset;
  const name = row.querySelector("[part=name] bdi")?.textContent || userId;
  let link = row.querySelector(".open");
  if (!link) {
    link = document.createElement("a");
    link.className = "open";
    link.href = `/console/users/${encodeURIComponent(userId)}`;
    row.append(link);
  }
  const label = `Open ${name}`;
  if (link.ariaLabel !== label) link.ariaLabel = label;
}

async function open(board) {
  await customElements.whenDefined("podium-leaderboard");
  const root = board.shadowRoot;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets.push(sheet);
  const list = root.querySelector("[part=list]");
  const all = () => list.querySelectorAll("li").forEach(cover);
  // A row is put in once and keeps its element; its name is written after that.
  new MutationObserver(all).observe(list, { childList: true, subtree: true, characterData: true });
  all();
}

document.querySelectorAll("podium-leaderboard[data-console]:not([groups])").forEach(open);
