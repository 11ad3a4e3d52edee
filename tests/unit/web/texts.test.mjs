// Run by test_scripts.py, or alone: node --test tests/unit/web/
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Formatter, TEXTS, amountOf, endOfDayMs, explain, localeOf, staysTrueMs } from "../../../web/widget/texts.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const words = new Formatter(TEXTS, "en-US");
const board = (run, more = {}) => ({ leaderboard: { metricName: "Words" }, participants: 1204, run, ...more });
const live = { start: "2026-11-23", end: "2026-11-24", state: "live" };

test("a language as servers write it is a language tag, and what is none is left to the browser", () => {
  for (const [lang, expected] of [
    ["en_US", "en-US"], ["de_DE.UTF-8", "de-DE"], ["pt-br", "pt-BR"], ["sr_RS@latin", "sr-RS"], [" fr ", "fr"],
    ["", undefined], [null, undefined], ["english please", undefined], ["-", undefined],
  ]) assert.equal(localeOf(lang), expected, String(lang));
});

test("the average of a group is rounded, a score is not", () => {
  assert.equal(words.rounded(23679.363636), "23,679.36");
  assert.equal(words.rounded(23679), "23,679");
  assert.equal(words.number(23679.363636), "23,679.363636");
});

test("amounts are rounded down, in the largest unit of which two are left", () => {
  const said = (ms) => { const found = amountOf(ms); return found && `${found.amount} ${found.unit}`; };
  for (const [ms, expected] of [
    [2 * DAY, "2 day"], [2 * DAY - 1, "47 hour"], [2 * HOUR, "2 hour"], [2 * HOUR - 1, "119 minute"],
    [MINUTE, "1 minute"], [MINUTE - 1, null], [0, null], [-DAY, null],
  ]) assert.equal(said(ms), expected);
});

describe("the line under the title", () => {
  const end = endOfDayMs("2026-11-24");

  test("a day is over at the next midnight of the viewer, over the ends of months and years too", () => {
    assert.deepEqual(new Date(end), new Date(2026, 10, 25));
    assert.deepEqual(new Date(endOfDayMs("2028-02-29")), new Date(2028, 2, 1));
    assert.deepEqual(new Date(endOfDayMs("2026-12-31")), new Date(2027, 0, 1));
  });

  test("a run that is live says when it ends", () => {
    const said = (leftMs) => words.details(board(live), false, end - leftMs).split(" · ");
    assert.deepEqual(said(5 * HOUR).slice(0, 2), ["Words", "1,204 participants"]);
    assert.match(said(5 * HOUR)[2], /^Nov 23\s–\s24, 2026$/);
    assert.deepEqual([5 * HOUR, MINUTE, MINUTE - 1, 0].map((ms) => said(ms)[3]), [
      "ends in 5 hours", "ends in 1 minute", "ends in less than a minute", "over in your time zone",
    ]);
  });

  test("one that is provisional says when it is final, one that is final and one without end say nothing", () => {
    const provisional = { ...live, state: "provisional", finalAt: "2026-11-25T12:00:00.000Z" };
    const now = Date.parse("2026-11-25T09:30:00Z");
    assert.match(words.details(board(provisional), false, now), / · final in 2 hours$/);
    assert.match(words.details(board(provisional), false, now + DAY), / · final soon$/);
    assert.match(words.details(board({ ...live, state: "final" }), false, now), /2026$/);
    const perpetual = { start: "2026-01-01", end: null, state: "live" };
    assert.equal(words.details(board(perpetual, { participants: 1 }), false, now), "Words · 1 participant");
    assert.equal(words.details(board(perpetual), true, now), "Words · 1,204 groups");
  });

  test("follows the locale", () => {
    const german = new Formatter(TEXTS, "de");
    assert.match(german.details(board(live), false, end - 5 * HOUR), /1\.204 participants .* ends in 5 Stunden$/);
  });

  test("is true until the unit that it names has one less", () => {
    for (const leftMs of [50 * HOUR, 5 * HOUR, 90 * MINUTE, MINUTE + 5, 5]) {
      const now = end - leftMs;
      const wait = staysTrueMs(live, now);
      const at = (ms) => words.details(board(live), false, ms);
      assert.equal(at(now), at(now + wait - 2), `${leftMs}`);
      assert.notEqual(at(now), at(now + wait), `${leftMs}`);
    }
    for (const run of [undefined, { state: "live", end: null }, { ...live, state: "final" }]) {
      assert.equal(staysTrueMs(run, end), DAY);
    }
  });
});

test("the own place in a sentence", () => {
  const place = { rank: 41, toNext: 120.5, participants: 1203 };
  assert.equal(words.place(place), "You are at rank 41 of 1,203, 120.5 behind the next place.");
  assert.equal(words.place({ ...place, toNext: 0 }), "You are at rank 41 of 1,203, level with the next place.");
  assert.equal(words.place({ ...place, rank: 1, toNext: null }), "You are in the lead, at rank 1.");
  assert.equal(words.place({ ...place, rank: null, toNext: null }), "You are not on this board yet.");
});

test("what a screen reader is told of a move", () => {
  for (const [before, rank, passer, expected] of [
    [5, 5, undefined, ""], [5, null, undefined, ""], [null, null, undefined, ""],
    [null, 1041, undefined, "You are on the board, at rank 1,041."],
    [1041, 7, undefined, "You are up from rank 1,041 to 7."],
    [7, 9, undefined, "You are down from rank 7 to 9."],
    [7, 8, "Ana", "Ana passed you. You are down from rank 7 to 8."],
  ]) assert.equal(words.move(before, rank, passer), expected);
});

test("errors are explained", () => {
  for (const [code, expected] of [[102, /no leaderboard “x”/], [103, /not public/], [3500, /Try reloading/], [109, /run out/], [3504, /too many/]]) {
    assert.match(explain({ code, message: "" }, "x", TEXTS), expected);
  }
  assert.equal(explain({ code: 107, message: "limit" }, "x", TEXTS), "The leaderboard could not be shown: limit");
});
