// <podium-leaderboard src="wss://host/connection/websocket" board="weekly" limit="10"></podium-leaderboard>
//
// Attributes, properties, states and styling: docs/widget.md. The server joins this file and its imports into one
// (server/podium/http/widget.py).

import { LiveClient, LiveError, nextBoard } from "../shared/live.js";
import { RowList, make, rowId } from "./rows.js";
import { STYLE } from "./style.js";
import { Formatter, TEXTS, explain, localeOf, staysTrueMs } from "./texts.js";

/** The largest number of rows that the server sends. */
const LIMIT_MAX = 500;
/** Least time between two announcements to screen readers; in between only the newest sentence is kept. */
const SPOKEN_EVERY_MS = 10_000;
const AROUND = 2;

const NAME = "podium-leaderboard";

// The module is also imported for rendering on a server, where it must not fail and defines no element.
const sheet = globalThis.CSSStyleSheet && new CSSStyleSheet();
sheet?.replaceSync(STYLE);

export class PodiumLeaderboard extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = [
    "src", "board", "run", "group", "groups", "limit", "interval", "user", "around", "token", "token-url", "lang",
  ];

  /** The texts of all widgets of the page, also if the page loads the script twice. */
  static texts = globalThis.customElements?.get(NAME)?.texts ?? { ...TEXTS };

  #title = make("h2", { part: "title", id: "title", dir: "auto" });
  #status = make("div", { part: "status", role: "status" });
  #details = make("p", { part: "details" });
  #rows = new RowList("list");
  #around = new RowList("around");
  #message = make("p", { part: "message" });
  #placeLine = make("p", { part: "place", hidden: true });
  #spoken = make("p", { className: "spoken", ariaLive: "polite" });
  #formatter;
  #client = null;
  #board = null; // {seq, leaderboard, run, participants, rows}: the window of the board
  #place = null; // the newest frame about the own place
  #announcedRank; // the own rank as last announced; undefined before the first frame
  #announcedLeader;
  #changed = new Map(); // rows that have changed since the last draw: rowId → rank before
  #frame = 0;
  #clock;
  #speaking;
  #sentence = "";
  #started = false; // attributes in the page's source are set before the element is connected
  #restarting = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const section = make("section", { part: "card" });
    section.setAttribute("aria-labelledby", "title");
    const header = make("header", {}, this.#title, this.#status, this.#details);
    section.append(header, this.#rows.element, this.#around.element, this.#placeLine, this.#message, this.#spoken);
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
    if (!this.#started || before === after || this.#restarting) return;
    this.#restarting = true; // several attributes that are set one after another cause one new connection
    queueMicrotask(() => {
      this.#restarting = false;
      this.#stop();
      if (this.#started) this.#start();
    });
  }

  /** The whole number in an attribute, at least `least`; `otherwise` without one. */
  #number(name, otherwise, least) {
    const number = Number.parseInt(this.getAttribute(name), 10);
    return Number.isNaN(number) ? otherwise : Math.max(least, number);
  }

  get #limit() {
    return Math.min(this.#number("limit", 10, 1), LIMIT_MAX);
  }

  get #ranksGroups() {
    return this.hasAttribute("groups");
  }

  /** The rowId of the marked row: the viewer, or the viewer's group on a ranking of groups. */
  get #me() {
    return this.getAttribute(this.#ranksGroups ? "group" : "user");
  }

  get #channel() {
    const run = this.getAttribute("run");
    const group = this.#ranksGroups ? null : this.getAttribute("group");
    const parts = [...new URLSearchParams(group ?? "")].map((part) => part.map(encodeURIComponent).join("="));
    const board = this.getAttribute("board") + (run ? `@${run}` : "") + (group ? `?${parts.join("&")}` : "");
    return `${this.#ranksGroups ? "groups" : "leaderboard"}:${board}`;
  }

  async #fetchToken() {
    const response = await fetch(new URL(this.getAttribute("token-url"), document.baseURI), { cache: "no-store" });
    const refused = response.status >= 400 && response.status < 500 && response.status !== 429;
    const problem = { code: response.status, message: `token-url: ${response.status}`, temporary: !refused };
    if (!response.ok) throw new LiveError(problem);
    const text = await response.text();
    return text.trim().startsWith("{") ? JSON.parse(text).token : text.trim();
  }

  #start() {
    const src = this.getAttribute("src");
    const board = this.getAttribute("board");
    const texts = PodiumLeaderboard.texts;
    this.#formatter = new Formatter(texts, localeOf(this.getAttribute("lang")));
    this.#title.textContent = board || texts.untitled;
    this.#details.textContent = "";
    if (!src || !board) {
      this.#fail(texts.needs);
      return;
    }
    this.#show("loading", texts.loading);
    let url;
    try {
      url = new URL(src, document.baseURI);
      url.protocol = url.protocol.replace(/^http/, "ws");
    } catch {
      this.#fail(texts.badAddress(src));
      return;
    }
    const fail = (error) => this.#fail(explain(error, board, texts));
    const client = new LiveClient(url.href, {
      token: this.token ?? undefined,
      getToken: this.getToken ?? (this.hasAttribute("token-url") ? () => this.#fetchToken() : undefined),
      onState: ({ state, error }) => {
        if (state === "reconnecting") this.#show("offline", this.#board ? "" : texts.unreachable);
        else if (error) fail(error);
      },
    });
    this.#client = client;
    this.#watchBoard(client, fail);
    const user = this.getAttribute("user");
    const known = this.token || this.getToken || this.hasAttribute("token-url");
    if (user && known && !this.#ranksGroups) this.#followPlace(client, user);
    client.connect();
  }

  #watchBoard(client, fail) {
    const channel = this.#channel;
    const data = { limit: this.#limit };
    if (this.hasAttribute("interval")) data.interval = this.#number("interval", 50, 0);
    client.subscribe(channel, data, {
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
          for (const row of publication.rows) {
            if (!this.#changed.has(rowId(row))) this.#changed.set(rowId(row), row.previousRank);
          }
        }
        this.#take(board);
        this.#frame ||= requestAnimationFrame(() => this.#draw());
      },
      onError: fail,
    });
  }

  #followPlace(client, user) {
    const take = (place) => {
      this.#place = place;
      if (this.#announcedRank !== undefined) {
        const passer = place.around.find(({ userId }) => userId === place.passedBy[0]);
        this.#say(this.#formatter.move(this.#announcedRank, place.rank, passer && (passer.name || passer.userId)));
      }
      this.#announcedRank = place.rank;
      this.#frame ||= requestAnimationFrame(() => this.#draw());
    };
    const around = Math.min(this.#number("around", AROUND, 0), 50);
    // No onError: with another user's token it is refused, and the board is shown all the same.
    client.subscribe(`${this.#channel}#${encodeURIComponent(user)}`, { around }, {
      onSnapshot: take,
      onPublication: take,
    });
  }

  #stop() {
    this.#client?.close();
    this.#client = null;
    this.#clear();
  }

  #clear() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#clock);
    clearTimeout(this.#speaking);
    this.#frame = 0;
    this.#speaking = undefined;
    this.#board = this.#place = null;
    this.#announcedRank = this.#announcedLeader = undefined;
    this.#sentence = this.#spoken.textContent = "";
    this.#changed.clear();
    this.#rows.clear();
    this.#around.clear();
    this.#placeLine.hidden = true;
    delete this.dataset.run;
  }

  #take(board) {
    this.#board = board;
    this.#title.textContent = board.leaderboard.name || board.leaderboard.key;
    this.dataset.run = board.run?.state ?? "live";
    this.#describe();
    const { empty, emptyFinal } = PodiumLeaderboard.texts;
    if (board.rows.length) this.#show("live");
    else this.#show("empty", board.run?.state === "final" ? emptyFinal : empty);
    this.#sayLeader(board);
  }

  /** Write the line under the title, and again whenever its text on the remaining time changes. */
  #describe() {
    const { run } = this.#board;
    const nowMs = Date.now();
    this.#details.textContent = this.#formatter.details(this.#board, this.#ranksGroups, nowMs);
    clearTimeout(this.#clock);
    this.#clock = setTimeout(() => this.#describe(), staysTrueMs(run, nowMs));
  }

  #fail(sentence) {
    this.#clear();
    this.#details.textContent = "";
    this.#show("error", sentence);
  }

  #show(state, message = "") {
    const { texts } = PodiumLeaderboard;
    this.dataset.state = state;
    const shown = state === "live" || state === "empty" ? this.dataset.run : state;
    // Only when it differs: a live region is read aloud on every write.
    if (this.#status.textContent !== texts[shown]) this.#status.textContent = texts[shown];
    this.#message.textContent = message;
    this.#message.hidden = !message;
    this.#rows.element.hidden = !this.#board?.rows.length;
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#board) return;
    const rows = this.#board.rows.slice(0, this.#limit); // the server rounds the limit up
    const me = this.#me;
    this.#rows.draw(rows, this.#changed, me, this.#formatter);
    const place = this.#place;
    const below = place !== null && place.rank !== null && !rows.some(({ userId }) => userId === me);
    const shown = new Set(rows.map(rowId));
    const around = below ? place.around.filter((row) => !shown.has(rowId(row))) : [];
    const moved = below && place.previousRank !== null && place.previousRank !== place.rank;
    this.#around.draw(around, moved ? new Map([[me, place.previousRank]]) : new Map(), me, this.#formatter);
    this.#around.element.hidden = !around.length;
    this.#placeLine.hidden = place === null || this.#board.run?.state === "final" && place.rank === null;
    if (place) this.#placeLine.textContent = this.#formatter.place(place);
    this.#changed.clear();
  }

  /** Announce a new leader to viewers without a place of their own. */
  #sayLeader({ rows: [first] }) {
    if (this.#place || !first) return;
    const leader = rowId(first);
    if (this.#announcedLeader !== undefined && this.#announcedLeader !== leader) {
      this.#say(PodiumLeaderboard.texts.leads(first.name || leader, this.#formatter.number(first.value)));
    }
    this.#announcedLeader = leader;
  }

  /** Announce a sentence to screen readers, at once or after SPOKEN_EVERY_MS since the last one. */
  #say(sentence) {
    if (!sentence || document.hidden) return;
    this.#sentence = sentence;
    if (this.#speaking === undefined) this.#speak();
  }

  #speak() {
    this.#speaking = undefined;
    if (!this.#sentence) return;
    this.#spoken.textContent = this.#sentence;
    this.#sentence = "";
    this.#speaking = setTimeout(() => this.#speak(), SPOKEN_EVERY_MS);
  }
}

// If the page loads the script twice, the first copy defines the element.
if (globalThis.customElements && !customElements.get(NAME)) customElements.define(NAME, PodiumLeaderboard);
