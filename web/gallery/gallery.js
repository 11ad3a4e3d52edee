// All states of the widget on one page. The element is the real one; `Stage` replaces the WebSocket and plays the
// scene in the URL `ws://gallery/<scene>`.

const TICK_MS = 1600;
const DAY_MS = 86_400_000;

const NAMES = [
  "Ana Souza", "Ben Okafor", "Chiyo Tanaka", "Dmitri Volkov", "Élodie Martin", "Fatima al-Zahra", "Gustav Lindqvist",
  "Hana Kim", "Ivy Chen", "Jack O’Brien", "Katarzyna Nowak", "Liam Walker",
];

const day = (offset) => {
  const date = new Date(Date.now() + offset * DAY_MS);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
};
const people = (values, extra = () => ({})) => values.map((value, index) => (
  { rank: index + 1, userId: `u${index + 1}`, name: NAMES[index], value, previousRank: null, ...extra(index) }
));
const person = (rank, userId, name, value) => ({ rank, userId, name, value, previousRank: null });

const TEAMS = ["Red", "Blue", "Red"];
const face = (index) => `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><rect width="2" height="2" fill="hsl(${index * 95} 55% 60%)"/>`
  + '<circle cx="1" cy=".8" r=".4" fill="#fff"/><circle cx="1" cy="2" r=".75" fill="#fff"/></svg>',
)}`;

const LIVE = { start: day(-3), end: day(3), state: "live", finalAt: null };
const VALUES = [9420, 9105, 8770, 8044, 7912, 6432, 6120, 5904];

function board(rows, { run = LIVE, participants = 1204, ...leaderboard } = {}) {
  return {
    seq: 0, run, participants, rows,
    leaderboard: { key: "weekly", name: "Writers of the week", metricName: "Words written", tieRule: "ordinal", ...leaderboard },
  };
}

const place = (rank, toNext, around, more = {}) => ({
  seq: 0, rank, value: 5310, previousRank: rank, toNext, participants: 1204, around, passed: [], passedBy: [], ...more,
});

/** Return a function whose calls yield publications in which a random row rises. */
function play(rows) {
  const shown = rows.map((row) => ({ ...row }));
  let seq = 0;
  return () => {
    const from = 1 + Math.floor(Math.random() * (shown.length - 1));
    const [mover] = shown.splice(from, 1);
    const to = Math.max(0, from - 1 - Math.floor(Math.random() * 2));
    mover.value = shown[to].value + 10 + Math.floor(Math.random() * 90);
    shown.splice(to, 0, mover);
    return { seq: ++seq, participants: 1204, left: [], rows: [{ ...mover, position: to, rank: to + 1, previousRank: from + 1 }] };
  };
}

const below = [
  person(40, "u40", "Priya Raman", 5430), person(41, "me", "Mia Berger", 5310), person(42, "u42", "Sven Iversen", 5290),
];

/** The scenes by name: title, text, attributes besides src and board, and the server's data. */
const SCENES = {
  live: {
    title: "Live", text: "Rows glide to their new places and show by how much they moved.",
    attributes: { limit: 6 }, board: board(people(VALUES)), moves: true,
  },
  me: {
    title: "You, among the first", text: "Your row is marked; the line below says what is missing to the next place.",
    attributes: { limit: 5, user: "u3", token: "…" }, board: board(people(VALUES)), place: place(3, 335, people(VALUES).slice(1, 5)),
  },
  around: {
    title: "You, further down", text: "Below the top are the rows around you, `around` of them on either side.",
    attributes: { limit: 3, user: "me", around: 1, token: "…" }, board: board(people(VALUES)), place: place(41, 120, below),
  },
  newcomer: {
    title: "You, not on it yet", text: "Before your first score.",
    attributes: { limit: 3, user: "me", token: "…" }, board: board(people(VALUES)),
    place: place(null, null, [], { value: null, previousRank: null }),
  },
  groups: {
    title: "Groups", text: "A ranking of groups, with their members; `group` marks yours.",
    attributes: { groups: "", group: "London" },
    board: board([
      { rank: 1, group: "New York", value: 412.5, members: 18, previousRank: null },
      { rank: 2, group: "London", value: 398, members: 24, previousRank: null },
      { rank: 3, group: "São Paulo", value: 371.25, members: 1, previousRank: null },
    ], { name: "City against city", participants: 3 }),
  },
  breakdown: {
    title: "One breakdown group", text: "The people of one city, ranked among themselves.",
    attributes: { group: "city=London", limit: 3 }, board: board(people([8770, 6432, 5904]), { participants: 24 }),
  },
  ties: {
    title: "Ties and long names", text: "Equal values share a rank where the board says so. Any name keeps to its row.",
    attributes: {},
    board: board([
      person(1, "a", "Maximiliane Freifrau von und zu Hohenschwangau-Wittelsbach der Jüngeren", 500),
      person(2, "b", "نور حداد", 420.5), person(2, "c", "🦊🦊🦊", 420.5), person(4, "a-very-long-identifier-without-a-name-0123456789", null, 17),
    ], { tieRule: "competition", participants: 4 }),
  },
  attributes: {
    title: "Attributes beside a name", text: "`displayAttributes` of the leaderboard: a team, and `avatar`, a picture.",
    attributes: {}, board: board(people([9420, 9105, 8770], (i) => ({ attributes: { team: TEAMS[i], avatar: face(i) } })), { participants: 3 }),
  },
  loading: { title: "Loading", text: "Until the first snapshot.", attributes: {}, stays: "loading" },
  empty: { title: "Empty", text: "Nobody has scored yet.", attributes: {}, board: board([], { participants: 0 }) },
  offline: {
    title: "Offline", text: "The last rows stay, and the widget reconnects by itself.", attributes: { limit: 3 }, board: board(people(VALUES)), stays: "offline",
  },
  unreachable: { title: "Never reached", text: "The server can’t be found, or the token can’t be fetched.", attributes: {}, stays: "unreachable" },
  private: { title: "Not public", text: "The board needs a token that may watch it.", attributes: {}, error: { code: 103, message: "permission denied" } },
  unknown: { title: "Unknown", text: "No board has this key.", attributes: {}, error: { code: 102, message: "unknown channel" } },
  provisional: {
    title: "Provisional", text: "Over where most people live; some may still score in it.",
    attributes: { limit: 3 },
    board: board(people(VALUES), { run: { start: day(-8), end: day(-1), state: "provisional", finalAt: new Date(Date.now() + 5.5 * 3_600_000).toISOString() } }),
  },
  final: {
    title: "Final", text: "The standings as they are kept for ever.",
    attributes: { limit: 3, run: "2026-11-16" },
    board: board(people(VALUES), { run: { start: "2026-11-16", end: "2026-11-22", state: "final", finalAt: "2026-11-23T12:00:00Z" } }),
  },
  nobody: {
    title: "Final, without anybody", text: "A run that nobody scored in.",
    attributes: { run: "2026-11-09" },
    board: board([], { participants: 0, run: { start: "2026-11-09", end: "2026-11-15", state: "final", finalAt: "2026-11-16T12:00:00Z" } }),
  },
  dark: { title: "Dark", text: "It follows the page; `theme` forces one.", attributes: { limit: 3, theme: "dark" }, board: board(people(VALUES)) },
  light: { title: "Light", text: "The same, forced to the other side.", attributes: { limit: 3, theme: "light" }, board: board(people(VALUES)) },
  colours: { title: "Your colours", text: "CSS custom properties: background, accent, lines, corners, font.", attributes: { limit: 3, user: "u2" }, board: board(people(VALUES)) },
  rtl: {
    title: "From right to left", text: "With `dir`, and numbers and dates by `lang`.",
    attributes: { limit: 3, dir: "rtl", lang: "ar-EG", user: "u2" },
    board: board([person(1, "u1", "نور حداد", 9420), person(2, "u2", "ليلى منصور", 9105), person(3, "u3", "Ana Souza", 8770)], { name: "كتّاب الأسبوع", metricName: "كلمات" }),
  },
  german: { title: "Another locale", text: "Numbers, dates and times by `lang`; the texts by `texts`.", attributes: { limit: 3, lang: "de" }, board: board(people([9420.5, 9105.25, 8770])) },
  narrow: { title: "Narrow", text: "In a side column.", attributes: { limit: 3 }, board: board(people(VALUES)) },
};

/** A WebSocket whose server is a scene. */
class Stage {
  static #visits = {};

  constructor(url) {
    const name = new URL(url).pathname.slice(1);
    this.scene = SCENES[name];
    const visit = (Stage.#visits[name] = (Stage.#visits[name] ?? 0) + 1);
    const away = this.scene.stays === "unreachable" || (this.scene.stays === "offline" && visit > 1);
    setTimeout(() => (away ? this.onclose?.({ code: 1006, reason: "" }) : this.onopen?.()));
  }

  send(text) {
    for (const line of text.split("\n")) this.#command(JSON.parse(line));
  }

  close() {
    clearInterval(this.playing);
    this.onopen = this.onmessage = this.onclose = null;
  }

  #tell(message) {
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(message) }));
  }

  #command({ id, connect, subscribe }) {
    const { scene } = this;
    if (connect) this.#tell({ id, connect: { client: "gallery", version: "gallery" } });
    if (!subscribe) return;
    const { channel } = subscribe;
    if (scene.error) {
      this.#tell({ id, error: { ...scene.error, temporary: false } });
      return;
    }
    if (channel.includes("#") && !scene.place) {
      this.#tell({ id, error: { code: 103, message: "permission denied", temporary: false } });
      return;
    }
    this.#tell({ id, subscribe: { recoverable: false, data: channel.includes("#") ? scene.place : scene.board } });
    if (scene.stays === "offline") setTimeout(() => this.onclose?.({ code: 3001, reason: "shutdown" }), 100);
    if (scene.moves) {
      const next = play(scene.board.rows);
      this.playing = setInterval(() => this.#tell({ push: { channel, pub: { data: next() } } }), TICK_MS);
    }
  }
}

globalThis.WebSocket = Stage;
await import("../widget/podium-leaderboard.js");

/** Return a paragraph in which text between backquotes is code. */
function prose(text) {
  const pieces = text.split("`").map((piece, index) => {
    if (index % 2 === 0) return piece;
    return Object.assign(document.createElement("code"), { textContent: piece });
  });
  const paragraph = document.createElement("p");
  paragraph.append(...pieces);
  return paragraph;
}

function show([name, { title, text, attributes, stays }]) {
  const widget = document.createElement("podium-leaderboard");
  if (stays === "loading") widget.getToken = () => new Promise(() => {});
  const all = { src: `ws://gallery/${name}`, board: "weekly", ...attributes };
  for (const [key, value] of Object.entries(all)) widget.setAttribute(key, value);
  const written = Object.entries({ ...all, src: "…" }).map(([key, value]) => (value === "" ? key : `${key}="${value}"`));
  const code = document.createElement("pre");
  code.append(Object.assign(document.createElement("code"), { textContent: `<podium-leaderboard ${written.join(" ")}>` }));
  const caption = document.createElement("figcaption");
  caption.append(Object.assign(document.createElement("h2"), { textContent: title }), prose(text));
  const figure = document.createElement("figure");
  figure.dataset.scene = name;
  figure.append(caption, widget, code);
  return figure;
}

document.getElementById("scenes").replaceChildren(...Object.entries(SCENES).map(show));
