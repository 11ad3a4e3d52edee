// The live leaderboard of a page: a link over each row leads to the page of its user.

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
  // Rows are inserted once and keep their element; the widget writes the name afterwards.
  new MutationObserver(all).observe(list, { childList: true, subtree: true, characterData: true });
  all();
}

document.querySelectorAll("podium-leaderboard[data-console]:not([groups])").forEach(open);
