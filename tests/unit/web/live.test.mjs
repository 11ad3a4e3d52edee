// Run by test_scripts.py, or alone: node --test tests/unit/web/
import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";

import {
  LiveClient, applyPublication, isFinal, nextBoard, parseFrame, reconnectDelayMs,
} from "../../../web/shared/live.js";

const row = (userId, value, rank, previousRank = null) => ({ rank, userId, name: userId, value, previousRank });
const ranks = (rows) => rows.map(({ userId, rank }) => [userId, rank]);

describe("applyPublication", () => {
  const rows = [row("a", 30, 1), row("b", 20, 2), row("c", 10, 3)];

  test("moves a row up and numbers everyone again", () => {
    const next = applyPublication(rows, { left: [], rows: [{ position: 0, ...row("c", 40, 1, 3) }] }, "ordinal");
    assert.deepEqual(next, [row("c", 40, 1, 3), row("a", 30, 2), row("b", 20, 3)]);
  });

  test("takes out who left and lets the next one in", () => {
    const next = applyPublication(rows, { left: ["a"], rows: [{ position: 2, ...row("d", 5, 3, 4) }] }, "ordinal");
    assert.deepEqual(ranks(next), [["b", 1], ["c", 2], ["d", 3]]);
  });

  test("puts rows in by position, whatever their order in the publication", () => {
    const moved = [{ position: 1, ...row("d", 40, 2) }, { position: 0, ...row("e", 50, 1) }];
    const next = applyPublication(rows, { left: [], rows: moved }, "ordinal");
    assert.deepEqual(ranks(next), [["e", 1], ["d", 2], ["a", 3], ["b", 4], ["c", 5]]);
  });

  test("keeps no earlier rank of those whom this publication doesn't name", () => {
    const moved = applyPublication(rows, { left: [], rows: [{ position: 0, ...row("c", 40, 1, 3) }] }, "ordinal");
    const next = applyPublication(moved, { left: [], rows: [{ position: 0, ...row("b", 50, 1, 3) }] }, "ordinal");
    assert.deepEqual(next, [row("b", 50, 1, 3), row("c", 40, 2), row("a", 30, 3)]);
  });

  test("leaves the rows it was given alone", () => {
    const before = structuredClone(rows);
    applyPublication(rows, { left: ["b"], rows: [{ position: 0, ...row("c", 40, 1, 3) }] }, "ordinal");
    assert.deepEqual(rows, before);
  });

  for (const [tieRule, expected] of [
    ["ordinal", [1, 2, 3, 4]],
    ["competition", [1, 2, 2, 4]],
    ["dense", [1, 2, 2, 3]],
  ]) {
    test(`numbers ties by the ${tieRule} rule`, () => {
      const next = applyPublication(rows, { left: [], rows: [{ position: 2, ...row("d", 20, 2) }] }, tieRule);
      assert.deepEqual(next.map(({ rank }) => rank), expected);
    });
  }

  test("snapshot + publications = fresh snapshot, over random histories", () => {
    let seed = 7;
    const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
    const window = (scores) => [...scores]
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, 5)
      .map(([userId, value], index) => row(userId, value, index + 1));
    const scores = new Map();
    let shown = [];
    for (let step = 0; step < 500; step++) {
      const before = window(scores);
      const mover = `u${random(9)}`;
      if (random(8)) scores.set(mover, random(20));
      else scores.delete(mover);
      const after = window(scores);
      const ids = (list) => list.map(({ userId }) => userId);
      const publication = {
        left: ids(before).filter((id) => !ids(after).includes(id)),
        rows: after
          .map((entry, position) => ({ position, ...entry }))
          .filter(({ userId }) => userId === mover || !ids(before).includes(userId)),
      };
      shown = applyPublication(shown, publication, "ordinal");
      assert.deepEqual(shown, after);
    }
  });
});

describe("nextBoard", () => {
  const board = {
    seq: 4, leaderboard: { tieRule: "ordinal" }, run: { start: "2026-11-23" }, participants: 1, rows: [row("a", 1, 1)],
  };
  const change = { left: [], rows: [{ position: 0, ...row("b", 2, 1) }], participants: 2 };

  test("takes the publication that follows", () => {
    const next = nextBoard(board, { seq: 5, ...change });
    assert.deepEqual([next.seq, next.participants, ranks(next.rows)], [5, 2, [["b", 1], ["a", 2]]]);
  });

  test("keeps the board on a publication that it already holds", () => {
    assert.equal(nextBoard(board, { seq: 4, ...change }), board);
  });

  test("asks for a snapshot after a gap", () => {
    assert.equal(nextBoard(board, { seq: 6, ...change }), null);
  });

  test("takes a reset over any gap, and the new run of a roll-over", () => {
    const next = nextBoard(board, { seq: 9, reset: true, run: { start: "2026-11-24" }, rows: [] });
    assert.deepEqual(next, { ...board, seq: 9, run: { start: "2026-11-24" }, rows: [] });
  });
});

test("parseFrame reads every line", () => {
  assert.deepEqual(parseFrame('{"id":1}\n{}\n'), [{ id: 1 }, {}]);
  assert.throws(() => parseFrame('{"id":1}\nnonsense'), SyntaxError);
});

test("reconnectDelayMs doubles up to 20 s and is spread by chance", () => {
  assert.deepEqual([0, 1, 2, 50].map((n) => reconnectDelayMs(n, () => 1)), [700, 1200, 2200, 20_000]);
  assert.equal(reconnectDelayMs(50, () => 0), 200);
});

test("isFinal follows the ranges of the protocol", () => {
  const codes = [1006, 3000, 3499, 3500, 3999, 4000, 4499, 4500, 4999, 5000];
  assert.deepEqual(codes.filter(isFinal), [3500, 3999, 4500, 4999]);
});

describe("LiveClient", () => {
  const DELAY_MS = reconnectDelayMs(0, () => 0); // the first delay with random 0
  let sockets;
  let states;
  let seen;

  class Socket {
    sent = [];
    closed = false;

    constructor(url) {
      this.url = url;
      sockets.push(this);
    }

    send(text) {
      this.sent.push(...parseFrame(text));
    }

    close() {
      this.closed = true;
    }

    receive(...messages) {
      this.onmessage({ data: messages.map((message) => JSON.stringify(message)).join("\n") });
    }

    get last() {
      return this.sent.at(-1);
    }
  }

  const newest = () => sockets.at(-1);

  function start(options = {}) {
    const onState = ({ state, error }) => states.push(error ? [state, error.code] : [state]);
    const client = new LiveClient("ws://podium/", { WebSocket: Socket, random: () => 0, onState, ...options });
    client.connect();
    return client;
  }

  function accept(socket = newest(), result = { ping: 25, pong: true }) {
    socket.onopen();
    socket.receive({ id: socket.last.id, connect: result });
  }

  function watch(client) {
    client.subscribe("leaderboard:x", { limit: 10 }, {
      onSnapshot: (data) => seen.push(["snapshot", data]),
      onPublication: (data) => seen.push(["publication", data]),
      onError: (error) => seen.push(["error", error.code]),
    });
  }

  const publication = (data) => ({ push: { channel: "leaderboard:x", pub: { data } } });
  const settled = () => new Promise((resolve) => setImmediate(resolve)); // all promises that can go on have

  beforeEach(() => {
    sockets = [];
    states = [];
    seen = [];
    mock.timers.reset();
    mock.timers.enable({ apis: ["setTimeout"] });
  });

  test("connects with the token and answers pings", () => {
    start({ token: "t" });
    accept();
    assert.deepEqual(newest().sent, [{ id: 1, connect: { token: "t" } }]);
    newest().receive({});
    assert.deepEqual(newest().last, {});
    assert.deepEqual(states, [["connecting"], ["connected"]]);
  });

  test("doesn't answer pings where the server wants no pong", () => {
    start();
    accept(newest(), { ping: 25 });
    newest().receive({});
    assert.deepEqual(newest().sent, [{ id: 1, connect: {} }]);
  });

  test("hands on the snapshot and the publications of the same frame", () => {
    const client = start();
    watch(client);
    accept();
    const { id, subscribe } = newest().last;
    assert.deepEqual(subscribe, { channel: "leaderboard:x", data: { limit: 10 } });
    newest().receive({ id, subscribe: { data: 1 } }, publication(2), publication(3));
    assert.deepEqual(seen, [["snapshot", 1], ["publication", 2], ["publication", 3]]);
  });

  test("subscribes again after a reconnect and starts from a fresh snapshot", () => {
    const client = start();
    watch(client);
    accept();
    newest().receive({ id: newest().last.id, subscribe: { data: 1 } });
    newest().onclose({ code: 3001, reason: "shutdown" });
    mock.timers.tick(DELAY_MS);
    accept();
    newest().receive(publication("too early"), { id: newest().last.id, subscribe: { data: 2 } });
    assert.deepEqual(seen, [["snapshot", 1], ["snapshot", 2]]);
    assert.deepEqual(states, [["connecting"], ["connected"], ["reconnecting"], ["connected"]]);
  });

  test("waits longer after each failure, and little again once a connection has held for a ping", () => {
    start({ random: () => 1 });
    for (const delay of [700, 1200, 2200]) {
      newest().onclose({ code: 1006, reason: "" });
      const before = sockets.length;
      mock.timers.tick(delay - 1);
      assert.equal(sockets.length, before);
      mock.timers.tick(1);
      assert.equal(sockets.length, before + 1);
    }
    accept();
    newest().receive({});
    newest().onclose({ code: 1006, reason: "" });
    mock.timers.tick(700);
    assert.equal(sockets.length, 5);
  });

  test("stays away after a final code, by close and by push", () => {
    for (const end of [
      () => newest().onclose({ code: 3503, reason: "force disconnect" }),
      () => newest().receive({ push: { disconnect: { code: 3503, reason: "force disconnect" } } }),
    ]) {
      sockets = [];
      states = [];
      start();
      accept();
      end();
      mock.timers.tick(3_600_000);
      assert.equal(sockets.length, 1);
      assert.deepEqual(states.at(-1), ["closed", 3503]);
    }
  });

  test("gives up a server that is silent for ping + 10 s, and no sooner", () => {
    start();
    accept();
    mock.timers.tick(20_000);
    newest().receive({});
    mock.timers.tick(34_999);
    assert.equal(newest().closed, false);
    mock.timers.tick(1);
    assert.equal(sockets[0].closed, true);
    sockets[0].onclose({ code: 3503, reason: "late news from the old socket" });
    mock.timers.tick(DELAY_MS);
    assert.equal(sockets.length, 2);
  });

  test("gives up a socket that doesn't open, and a command that isn't answered", () => {
    const client = start();
    mock.timers.tick(10_000);
    mock.timers.tick(DELAY_MS);
    assert.equal(sockets.length, 2);
    accept();
    watch(client);
    mock.timers.tick(10_000);
    mock.timers.tick(DELAY_MS);
    assert.equal(sockets.length, 3);
  });

  test("comes back from a frame that it can't read", () => {
    start();
    accept();
    newest().onmessage({ data: "<html>" });
    mock.timers.tick(DELAY_MS);
    assert.equal(sockets.length, 2);
  });

  test("fetches a token first, and a new one after the old one has run out", async () => {
    const tokens = ["one", "two"];
    start({ getToken: async () => tokens.shift() });
    await settled();
    accept();
    newest().onclose({ code: 1006, reason: "" });
    mock.timers.tick(DELAY_MS);
    newest().onopen();
    assert.deepEqual(newest().last.connect, { token: "one" });
    newest().receive({ id: newest().last.id, error: { code: 109, message: "token expired" } });
    mock.timers.tick(60_000);
    await settled();
    newest().onopen();
    assert.deepEqual(newest().last.connect, { token: "two" });
    newest().receive({ id: newest().last.id, error: { code: 109, message: "token expired" } });
    assert.deepEqual(states.at(-1), ["closed", 109]); // one that was fresh: another won't help
  });

  test("tries again when no token can be had", async () => {
    let failing = true;
    start({ getToken: async () => { if (failing) throw new Error("no network"); return "t"; } });
    await settled();
    failing = false;
    mock.timers.tick(DELAY_MS);
    await settled();
    newest().onopen();
    assert.deepEqual(newest().last.connect, { token: "t" });
  });

  test("opens nothing when it was closed while the token was on its way", async () => {
    const client = start({ getToken: async () => "t" });
    client.close();
    await settled();
    assert.deepEqual(sockets, []);
  });

  test("answers rpc by id, with data or with the server's error", async () => {
    const client = start();
    accept();
    const first = client.rpc("event", { value: 1 });
    const second = client.rpc("event", { value: 2 });
    const [, one, two] = newest().sent;
    assert.deepEqual(one.rpc, { method: "event", data: { value: 1 } });
    newest().receive(
      { id: two.id, error: { code: 107, message: "value: too large", temporary: false } },
      { id: one.id, rpc: { data: { total: 1 } } },
    );
    assert.deepEqual(await first, { total: 1 });
    await assert.rejects(second, { name: "LiveError", code: 107, message: "value: too large", temporary: false });
  });

  test("rejects an rpc as temporary without a connection, and when it is lost before the answer", async () => {
    const client = start();
    await assert.rejects(client.rpc("event", {}), { temporary: true });
    accept();
    const answer = client.rpc("event", {});
    newest().onclose({ code: 1006, reason: "" });
    await assert.rejects(answer, { temporary: true, code: 1006 });
  });

  test("names a refused subscription and repeats one that failed for the moment", () => {
    const client = start();
    watch(client);
    accept();
    newest().receive({ id: newest().last.id, error: { code: 100, message: "internal", temporary: true } });
    mock.timers.tick(DELAY_MS);
    newest().receive({ id: newest().last.id, error: { code: 102, message: "unknown channel" } });
    mock.timers.tick(5_000);
    assert.deepEqual(seen, [["error", 102]]);
    assert.equal(newest().sent.filter((command) => command.subscribe).length, 2);
  });

  test("follows the server's unsubscribe: again from 2500 on, an error below", () => {
    const client = start();
    watch(client);
    accept();
    const end = (code) => ({ push: { channel: "leaderboard:x", unsubscribe: { code, reason: "" } } });
    newest().receive({ id: newest().last.id, subscribe: { data: 1 } }, end(2500));
    newest().receive({ id: newest().last.id, subscribe: { data: 2 } }, end(2000));
    assert.deepEqual(seen, [["snapshot", 1], ["snapshot", 2], ["error", 2000]]);
  });

  test("resubscribe drops what belongs to the old subscription", () => {
    const client = start();
    watch(client);
    accept();
    newest().receive({ id: newest().last.id, subscribe: { data: 1 } });
    client.resubscribe("leaderboard:x");
    const [leave, enter] = newest().sent.slice(-2);
    assert.deepEqual(leave.unsubscribe, { channel: "leaderboard:x" });
    newest().receive(publication("old"), { id: leave.id, unsubscribe: {} }, { id: enter.id, subscribe: { data: 2 } });
    assert.deepEqual(seen, [["snapshot", 1], ["snapshot", 2]]);
  });

  test("hears nothing more after unsubscribe, not even the snapshot under way", () => {
    const client = start();
    watch(client);
    accept();
    const { id } = newest().last;
    client.unsubscribe("leaderboard:x");
    newest().receive({ id, subscribe: { data: 1 } }, publication(2));
    assert.deepEqual(seen, []);
  });

  test("says when the address is none", () => {
    start({ WebSocket: class { constructor() { throw new SyntaxError("bad address"); } } });
    assert.deepEqual(states.at(-1), ["closed", 0]);
  });
});
