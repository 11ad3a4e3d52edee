// The texts, numbers and dates of the widget. Pure: the present moment is passed in.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A unit is used from two of it on: "in 47 hours", "in 2 days". */
const UNITS = [["day", DAY_MS], ["hour", HOUR_MS], ["minute", MINUTE_MS]];
/** Longest delay between two updates; timers of more than 24 days overflow. */
const LONGEST_WAIT_MS = DAY_MS;

/** The English texts. Pages replace them by `Object.assign(PodiumLeaderboard.texts, {…})`. */
export const TEXTS = {
  untitled: "Leaderboard",
  loading: "Loading…",
  live: "Live",
  provisional: "Provisional",
  final: "Final",
  offline: "Offline, reconnecting…",
  error: "Unavailable",
  empty: "Nobody is on this board yet. The first score opens it.",
  emptyFinal: "Nobody scored in this run.",
  unreachable: "The leaderboard can’t be reached. Trying again…",
  rank: "Rank",
  up: "up",
  down: "down",
  fresh: "new",
  you: "(you)",
  participants: (count, shown) => `${shown} ${count === 1 ? "participant" : "participants"}`,
  groups: (count, shown) => `${shown} ${count === 1 ? "group" : "groups"}`,
  members: (count, shown) => `${shown} ${count === 1 ? "member" : "members"}`,
  ends: (when) => `ends ${when}`,
  endsNow: "ends in less than a minute",
  ended: "over in your time zone",
  finalIn: (when) => `final ${when}`,
  finalSoon: "final soon",
  notRanked: "You are not on this board yet.",
  leading: (rank) => `You are in the lead, at rank ${rank}.`,
  standing: (rank, of, toNext) => `You are at rank ${rank} of ${of}, ${toNext} behind the next place.`,
  level: (rank, of) => `You are at rank ${rank} of ${of}, level with the next place.`,
  risen: (rank, from) => `You are up from rank ${from} to ${rank}.`,
  fallen: (rank, from) => `You are down from rank ${from} to ${rank}.`,
  passedBy: (name) => `${name} passed you.`,
  entered: (rank) => `You are on the board, at rank ${rank}.`,
  leads: (name, value) => `${name} leads with ${value}.`,
  needs: "This leaderboard needs the attributes src (address of the server) and board (key).",
  badAddress: (src) => `“${src}” is not the address of a server.`,
  unknownBoard: (board) => `There is no leaderboard “${board}” here.`,
  notPublic: (board) => `The leaderboard “${board}” is not public, and this page may not see it.`,
  refused: "The server did not accept this page’s access. Try reloading the page.",
  runOut: "This page’s access has run out. Try reloading the page.",
  tooMany: "There are too many open connections. Close some windows, then reload the page.",
  failed: (reason) => `The leaderboard could not be shown${reason ? `: ${reason}` : "."}`,
};

/** The instant in ms at which a day, like "2026-11-24", ends in the viewer's time zone. */
export function endOfDayMs(day) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + 1).getTime();
}

/** Return `{amount, unit}` for a duration, rounded down; null below a minute. */
export function amountOf(leftMs) {
  const found = UNITS.find(([unit, size]) => leftMs >= (unit === "minute" ? 1 : 2) * size);
  return found ? { amount: Math.floor(leftMs / found[1]), unit: found[0] } : null;
}

/** Return a sentence for the page's reader about an error that is final. */
export function explain({ code, message }, board, texts) {
  switch (code) {
    case 102: return texts.unknownBoard(board);
    case 103: return texts.notPublic(board);
    case 101:
    case 401:
    case 403:
    case 3500: return texts.refused;
    case 109: return texts.runOut;
    case 3504: return texts.tooMany;
    default: return texts.failed(message);
  }
}

/** Return the language tag of an attribute, also from the form `en_US`; undefined where it is none. */
export function localeOf(lang) {
  try {
    return Intl.getCanonicalLocales((lang ?? "").trim().replace(/[.@].*/, "").replaceAll("_", "-"))[0];
  } catch {
    return undefined;
  }
}

/** Formats texts, numbers and dates for a locale, by default the browser's. */
export class Formatter {
  constructor(texts, locale) {
    this.texts = texts;
    const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
    const rounded = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
    const relative = new Intl.RelativeTimeFormat(locale);
    // A run has dates, not instants: UTC shows them unchanged.
    const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
    this.number = (value) => numbers.format(value);
    this.rounded = (value) => rounded.format(value);
    this.days = (start, end) => dates.formatRange(new Date(start), new Date(end));
    this.in = ({ amount, unit }) => relative.format(amount, unit);
  }

  /** The line under the title: "Words written · 1,204 participants · Nov 23, 2026 · ends in 5 hours". */
  details({ leaderboard, participants, run }, groups, nowMs) {
    const count = this.texts[groups ? "groups" : "participants"](participants, this.number(participants));
    const days = run?.start && run.end ? this.days(run.start, run.end) : "";
    return [leaderboard.metricName, count, days, this.#deadline(run, nowMs)].filter(Boolean).join(" · ");
  }

  #deadline(run, nowMs) {
    const { texts } = this;
    if (run?.state === "live" && run.end) {
      const leftMs = endOfDayMs(run.end) - nowMs;
      const amount = amountOf(leftMs);
      return amount ? texts.ends(this.in(amount)) : leftMs > 0 ? texts.endsNow : texts.ended;
    }
    if (run?.state === "provisional") {
      const amount = run.finalAt && amountOf(Date.parse(run.finalAt) - nowMs);
      return amount ? texts.finalIn(this.in(amount)) : texts.finalSoon;
    }
    return "";
  }

  /** A sentence on the own place: "You are at rank 41 of 1,203, 120 behind the next place." */
  place({ rank, toNext, participants }) {
    if (rank === null) return this.texts.notRanked;
    if (toNext === null) return this.texts.leading(this.number(rank));
    const [shown, of] = [this.number(rank), this.number(participants)];
    return toNext ? this.texts.standing(shown, of, this.number(toNext)) : this.texts.level(shown, of);
  }

  /** A sentence on a change of the own rank (null: not on the board), "" if there is nothing to say. */
  move(before, rank, passer) {
    if (rank === null || rank === before) return "";
    const [now, from] = [this.number(rank), this.number(before ?? 0)];
    if (before === null) return this.texts.entered(now);
    if (rank < before) return this.texts.risen(now, from);
    return `${passer ? `${this.texts.passedBy(passer)} ` : ""}${this.texts.fallen(now, from)}`;
  }
}

/** The ms until the text on the remaining time changes. */
export function staysTrueMs(run, nowMs) {
  const endMs = run?.state === "live" && run.end ? endOfDayMs(run.end) : Date.parse(run?.finalAt ?? "");
  const leftMs = endMs - nowMs;
  if (!(leftMs > 0)) return LONGEST_WAIT_MS;
  const unit = amountOf(leftMs)?.unit;
  const size = unit ? UNITS.find(([name]) => name === unit)[1] : MINUTE_MS;
  return Math.min((leftMs % size) + 1, LONGEST_WAIT_MS);
}
