// <podium-leaderboard src="wss://host/connection/websocket" board="weekly" limit="10"></podium-leaderboard>
//
// Attributes: src (http: and relative addresses work too), board (key), limit (rows shown, default 10), user
// (id of the viewer, whose row is marked), token (not needed for a public board). For tokens that run out,
// set the property `getToken` to an async function that returns a new one.
// `data-state` on the element tells what is shown: loading, live, empty, offline or error.
// Styling: the --podium-… properties below, ::part(…), and `color-scheme` to force light or dark.

import { LiveClient, nextBoard } from "../shared/live.js";

const GLIDE = { duration: 450, easing: "cubic-bezier(.2, .8, .2, 1)" };
const FLASH = { duration: 1400, easing: "ease-out" };
/** Long enough to look at the row that moved and read by how much. */
const MOVE_SHOWN_MS = 5000;

const STYLE = `
:host {
  --_bg: var(--podium-bg, light-dark(#ffffff, #171a21));
  --_text: var(--podium-text, light-dark(#1b1f27, #eceef2));
  --_muted: var(--podium-muted, light-dark(#5b6472, #a0a8b6));
  --_line: var(--podium-line, light-dark(#e6e8ec, #2a2f3a));
  --_accent: var(--podium-accent, light-dark(#3b5bdb, #8ea6ff));
  --_up: var(--podium-up, light-dark(#15743a, #5fd68b));
  --_down: var(--podium-down, light-dark(#b42318, #ff9a8f));
  display: block;
  color-scheme: light dark;
  color: var(--_text);
  font-family: var(--podium-font, system-ui, sans-serif);
  line-height: 1.35;
}
:host([hidden]), [hidden] { display: none !important; }
section {
  background: var(--_bg);
  border: 1px solid var(--_line);
  border-radius: var(--podium-radius, 14px);
  overflow: hidden;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: .15rem .75rem; padding: .9rem 1rem .8rem; }
h2 { flex: 1 1 auto; margin: 0; font-size: 1.1rem; overflow-wrap: anywhere; }
[role=status] { display: flex; align-items: center; gap: .45em; color: var(--_muted); font-size: .8rem; }
[role=status]::before { content: ""; box-sizing: border-box; width: .6em; aspect-ratio: 1; border-radius: 50%; border: 2px solid currentColor; }
:host(:is([data-state=live], [data-state=empty])) [role=status]::before { border-color: var(--_up); background: var(--_up); }
:host([data-state=error]) [role=status]::before { border-color: var(--_down); border-radius: 0; }
[part=details] { flex-basis: 100%; margin: 0; color: var(--_muted); font-size: .8rem; }
ol { position: relative; margin: 0; padding: 0; list-style: none; transition: opacity .3s; }
:host([data-state=offline]) ol { opacity: .55; }
li {
  display: grid;
  grid-template-columns: 1.8rem 2.4rem minmax(0, 1fr) auto;
  align-items: center;
  gap: .5rem;
  position: relative;
  min-height: 2.75rem;
  box-sizing: border-box;
  padding: .3rem 1rem;
  border-top: 1px solid var(--_line);
  background: var(--_bg);
}
li[data-move] { z-index: 1; }
li[data-me] { background: color-mix(in srgb, var(--_accent) 12%, var(--_bg)); box-shadow: inset 3px 0 var(--_accent); }
[part=rank] { color: var(--_muted); font-variant-numeric: tabular-nums; text-align: center; }
li:is([data-rank="1"], [data-rank="2"], [data-rank="3"]) [part=rank] {
  border-radius: 50%; line-height: 1.8rem; color: #2b2100; font-weight: 700;
}
li[data-rank="1"] [part=rank] { background: #f5c542; }
li[data-rank="2"] [part=rank] { background: #c9d0da; }
li[data-rank="3"] [part=rank] { background: #e0a272; }
[part=move] { font-size: .75rem; font-weight: 700; white-space: nowrap; }
li[data-move=up] [part=move] { color: var(--_up); }
li[data-move=down] [part=move] { color: var(--_down); }
[part=name] {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  overflow: hidden; overflow-wrap: anywhere; line-height: 1.2;
}
[part=you] { color: var(--_accent); font-size: .8rem; font-weight: 600; }
[part=value] { font-variant-numeric: tabular-nums; font-weight: 600; text-align: end; }
[part=message] { margin: 0; padding: 1.5rem 1rem 1.75rem; border-top: 1px solid var(--_line); color: var(--_muted); text-align: center; text-wrap: balance; overflow-wrap: anywhere; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

const STATUS = {
  loading: "Loading…",
  live: "Live",
  empty: "Live",
  offline: "Offline, reconnecting…",
  error: "Unavailable",
};

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
// A run is dates, not instants: shown as they are, in no time zone.
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

/** An element with properties and children; names reach the page only as text. */
function make(tag, { part, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (part) element.setAttribute("part", part);
  element.append(...children);
  return element;
}

/** One sentence for the reader of the page about an error that won't go away by itself. */
function explain({ code, message }, board) {
  switch (code) {
    case 102: return `There is no leaderboard “${board}” here.`;
    case 103: return `The leaderboard “${board}” is not public, and this page may not see it.`;
    case 101:
    case 3500: return "The server did not accept this page’s access. Try reloading the page.";
    case 109: return "This page’s access has run out. Try reloading the page.";
    case 3504: return "There are too many open connections. Close some windows, then reload the page.";
    default: return `The leaderboard could not be shown${message ? `: ${message}` : "."}`;
  }
}

/** "Words written · 1,204 participants · Nov 23, 2026", as far as the board says. */
function describe({ leaderboard, participants, run }) {
  const parts = [leaderboard.metricName, `${numbers.format(participants)} ${participants === 1 ? "participant" : "participants"}`];
  if (run?.start && run.end) parts.push(dates.formatRange(new Date(run.start), new Date(run.end)));
  return parts.filter(Boolean).join(" · ");
}

/** One person's line on the board; keeps its element while the person stays in the window. */
class Row {
  #rank = make("span", { part: "rank" });
  #move = make("span", { part: "move" });
  #name = make("bdi");
  #you = make("span", { part: "you", textContent: " (you)" });
  #value = make("span", { part: "value" });
  #glide;
  #flash;
  #timer;

  constructor(userId) {
    const name = make("span", { part: "name" }, this.#name, this.#you);
    const spoken = make("span", { className: "spoken", textContent: "Rank " });
    this.element = make("li", { part: "row" }, spoken, this.#rank, this.#move, name, this.#value);
    this.element.dataset.userId = userId;
  }

  show({ rank, userId, name, value }, me) {
    this.rank = rank;
    this.element.dataset.rank = rank;
    this.element.toggleAttribute("data-me", userId === me);
    this.#rank.textContent = numbers.format(rank);
    this.#name.textContent = name || userId;
    this.#you.hidden = userId !== me;
    this.#value.textContent = numbers.format(value);
  }

  /** Says how far the row came: up, down, or new on the board (null). */
  showMove(from) {
    const up = from === null || this.rank < from;
    const places = from === null ? "new" : numbers.format(Math.abs(from - this.rank));
    const spoken = from === null ? "" : up ? "up " : "down ";
    this.element.dataset.move = up ? "up" : "down";
    this.#move.replaceChildren(
      make("span", { ariaHidden: "true", textContent: up ? "▲ " : "▼ " }),
      make("span", { className: "spoken", textContent: spoken }),
      places,
    );
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      delete this.element.dataset.move;
      this.#move.replaceChildren();
    }, MOVE_SHOWN_MS);
  }

  /** A tint that fades; one at a time, so that a busy row doesn't flicker. */
  flash() {
    if (stillness.matches || this.#flash?.playState === "running") return;
    const colour = { up: "var(--_up)", down: "var(--_down)" }[this.element.dataset.move] ?? "var(--_accent)";
    const tint = `color-mix(in srgb, ${colour} 28%, var(--_bg))`;
    this.#flash = this.element.animate([{ backgroundColor: tint, offset: 0 }], FLASH);
  }

  get top() {
    return this.element.getBoundingClientRect().top;
  }

  stopGliding() {
    this.#glide?.cancel();
  }

  glideFrom(offset) {
    if (offset) this.#glide = this.element.animate([{ transform: `translateY(${offset}px)`, offset: 0 }], GLIDE);
  }

  appear() {
    this.#glide = this.element.animate([{ transform: "translateY(60%)", opacity: 0, offset: 0 }], GLIDE);
  }
}

export class PodiumLeaderboard extends HTMLElement {
  static observedAttributes = ["src", "board", "limit", "token", "user"];

  #title = make("h2", { part: "title", id: "title", dir: "auto" });
  #status = make("div", { part: "status", role: "status" });
  #details = make("p", { part: "details", dir: "auto" });
  #list = make("ol", { part: "list", role: "list" }); // the role: Safari drops it from lists without bullets
  #message = make("p", { part: "message" });
  #client = null;
  #board = null;
  #rows = new Map(); // userId → Row, as on the screen
  #changed = new Map(); // userId → rank before, for everyone the server has named since the last frame drawn
  #frame = 0;
  #started = false; // an element of the page's source hears of its attributes before it is connected
  #restarting = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const section = make("section", { part: "card" });
    section.setAttribute("aria-labelledby", "title");
    section.append(make("header", {}, this.#title, this.#status, this.#details), this.#list, this.#message);
    root.append(section);
  }

  get token() {
    return this.getAttribute("token");
  }

  set token(token) {
    if (token) this.setAttribute("token", token);
    else this.removeAttribute("token");
  }

  connectedCallback() {
    this.#started = true;
    this.#start();
  }

  disconnectedCallback() {
    this.#started = false;
    this.#stop();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#started || before === after) return;
    if (name === "user") {
      this.#draw();
    } else if (!this.#restarting) {
      this.#restarting = true; // several attributes set in a row make one new connection
      queueMicrotask(() => {
        this.#restarting = false;
        this.#stop();
        if (this.#started) this.#start();
      });
    }
  }

  get #limit() {
    return Math.max(1, Number.parseInt(this.getAttribute("limit"), 10) || 10);
  }

  #start() {
    const src = this.getAttribute("src");
    const board = this.getAttribute("board");
    this.#title.textContent = board || "Leaderboard";
    this.#details.textContent = "";
    if (!src || !board) {
      this.#fail("This leaderboard needs the attributes src (address of the server) and board (key).");
      return;
    }
    this.#show("loading", "Loading…");
    const channel = `leaderboard:${board}`;
    let url;
    try {
      url = new URL(src, document.baseURI);
      url.protocol = url.protocol.replace(/^http/, "ws");
    } catch {
      this.#fail(`“${src}” is not the address of a server.`);
      return;
    }
    const client = new LiveClient(url.href, {
      token: this.token ?? undefined,
      getToken: this.getToken,
      onState: ({ state, error }) => {
        if (state === "reconnecting") {
          this.#show("offline", this.#board ? "" : "The leaderboard can’t be reached. Trying again…");
        } else if (error) {
          this.#fail(explain(error, board));
        }
      },
    });
    this.#client = client;
    client.subscribe(channel, { limit: this.#limit }, {
      onSnapshot: (snapshot) => {
        this.#changed.clear();
        this.#take(snapshot);
        this.#draw();
      },
      onPublication: (publication) => {
        const board = nextBoard(this.#board, publication);
        if (!board) {
          client.resubscribe(channel);
          return;
        }
        if (!publication.reset && !document.hidden) {
          for (const { userId, previousRank } of publication.rows) {
            if (!this.#changed.has(userId)) this.#changed.set(userId, previousRank);
          }
        }
        this.#take(board);
        this.#frame ||= requestAnimationFrame(() => this.#draw());
      },
      onError: (error) => this.#fail(explain(error, board)),
    });
    client.connect();
  }

  #stop() {
    this.#client?.close();
    this.#client = null;
    this.#clear();
  }

  #clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#board = null;
    this.#rows.clear();
    this.#changed.clear();
    this.#list.replaceChildren();
  }

  #take(board) {
    this.#board = board;
    this.#title.textContent = board.leaderboard.name || board.leaderboard.key;
    this.#details.textContent = describe(board);
    if (board.rows.length) this.#show("live");
    else this.#show("empty", "Nobody is on this board yet. The first score opens it.");
  }

  #fail(sentence) {
    this.#clear();
    this.#details.textContent = "";
    this.#show("error", sentence);
  }

  #show(state, message = "") {
    this.dataset.state = state;
    // Set only when it differs: a live region speaks on every write.
    if (this.#status.textContent !== STATUS[state]) this.#status.textContent = STATUS[state];
    this.#message.textContent = message;
    this.#message.hidden = !message;
    this.#list.hidden = !this.#board?.rows.length;
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#board) return;
    const rows = this.#board.rows.slice(0, this.#limit); // the server rounds the limit up
    const me = this.getAttribute("user");
    const moving = this.#rows.size > 0 && !document.hidden && !stillness.matches;

    // FLIP: where rows are on the screen now, where they belong, and a glide from the one to the other.
    const before = new Map();
    if (moving) {
      const origin = this.#list.getBoundingClientRect().top;
      for (const [userId, row] of this.#rows) before.set(userId, row.top - origin);
    }
    const known = new Map(this.#rows);
    for (const row of known.values()) row.stopGliding();
    this.#place(rows);
    if (moving) {
      const origin = this.#list.getBoundingClientRect().top;
      const offsets = [...this.#rows].map(([userId, row]) => [row, before.get(userId) - (row.top - origin)]);
      for (const [row, offset] of offsets) {
        if (Number.isNaN(offset)) row.appear();
        else row.glideFrom(offset);
      }
    }

    for (const data of rows) {
      const row = this.#rows.get(data.userId);
      const from = known.has(data.userId) ? row.rank : this.#changed.get(data.userId);
      row.show(data, me);
      if (!this.#changed.has(data.userId)) continue;
      if (from !== data.rank) row.showMove(from);
      row.flash();
    }
    this.#changed.clear();
  }

  /** Puts the rows into the list in order, touching only those that aren't in their place. */
  #place(rows) {
    const staying = new Set(rows.map(({ userId }) => userId));
    for (const [userId, row] of this.#rows) {
      if (staying.has(userId)) continue;
      row.element.remove();
      this.#rows.delete(userId);
    }
    let next = this.#list.firstElementChild;
    for (const { userId } of rows) {
      let row = this.#rows.get(userId);
      if (!row) this.#rows.set(userId, (row = new Row(userId)));
      if (row.element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row.element, next);
    }
  }
}

customElements.define("podium-leaderboard", PodiumLeaderboard);
