/*! Podium. Copyright 2026 The Podium authors. SPDX-License-Identifier: Apache-2.0 */
// A small client for the JSON form of the Centrifuge protocol (docs/, the live protocol), and the pure
// functions that keep a leaderboard up to date from what it receives. No dependency, no build step.

/** Longest wait for a socket to open and for the answer to any command. */
const ANSWER_TIMEOUT_MS = 10_000;
/** How long after a missed ping a server counts as dead: room for a slow network. */
const PING_GRACE_MS = 10_000;
/** First reconnect within 0.2–0.7 s, so that a restarted server isn't met by everyone at once; at most 20 s. */
const BACKOFF_FLOOR_MS = 200;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_CEILING_MS = 19_800;
/** Close code of a server that stops, and within how long its viewers come back: the next one gets them bit by bit. */
const SHUTDOWN_CODE = 3001;
const SHUTDOWN_SPREAD_MS = 3000;
/** From this code on an `unsubscribe` push asks the client to subscribe again (Centrifuge's ranges). */
const RESUBSCRIBE_FROM_CODE = 2500;
/** A token that is refused or has run out: errors 101 and 109, closes 3005 and 3500. */
const TOKEN_CODES = new Set([101, 109, 3005, 3500]);

/** An error named by the server, or by the client (code 0: not connected, no answer, unreadable). */
export class LiveError extends Error {
  /** `temporary`: the same request may succeed later. */
  constructor({ code = 0, message = "", temporary = false }) {
    super(message);
    this.name = "LiveError";
    this.code = code;
    this.temporary = temporary;
  }
}

/** Whether a close code tells the client not to come back. */
export function isFinal(code) {
  return (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999);
}

/** Milliseconds to wait before reconnecting after `failures` earlier failures; `random` gives [0, 1). */
export function reconnectDelayMs(failures, random = Math.random, code = 0) {
  if (code === SHUTDOWN_CODE) return BACKOFF_FLOOR_MS + random() * SHUTDOWN_SPREAD_MS;
  return BACKOFF_FLOOR_MS + random() * Math.min(BACKOFF_CEILING_MS, BACKOFF_FIRST_MS * 2 ** failures);
}

/** The messages of one text frame: one JSON object a line. Throws SyntaxError on anything else. */
export function parseFrame(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
}

/** Rows with `rank` set anew from the first (rank 1) by the tie rule: ordinal, competition or dense. */
function renumber(rows, tieRule) {
  let rank = 0;
  return rows.map((row, index) => {
    const tied = index > 0 && tieRule !== "ordinal" && row.value === rows[index - 1].value;
    if (!tied) rank = tieRule === "dense" ? rank + 1 : index + 1;
    return { ...row, rank };
  });
}

/**
 * The rows after a publication; the given rows stay as they are. Everyone in `left` and `rows` is taken out,
 * `rows` go in at their position in ascending order, and all are numbered again. The length of the window is
 * the server's business: it lists who left. Rows that the publication doesn't name get `previousRank` null.
 */
export function applyPublication(rows, publication, tieRule = "ordinal") {
  const moved = [...publication.rows].sort((a, b) => a.position - b.position);
  const who = ({ userId, group }) => userId ?? group;
  const gone = new Set([...(publication.left ?? []), ...moved.map(who)]);
  const result = rows.filter((row) => !gone.has(who(row))).map((row) => ({ ...row, previousRank: null }));
  for (const { position, ...row } of moved) result.splice(position, 0, row);
  return renumber(result, tieRule);
}

/**
 * The board `{seq, leaderboard, run, participants, rows}` (a snapshot at first) after a publication. A
 * publication that the board already holds changes nothing; null means that one was missed and only a fresh
 * snapshot helps. A `reset` brings all rows and is always taken.
 */
export function nextBoard(board, publication) {
  const { seq, reset, participants = board.participants, run = board.run } = publication;
  if (reset) return { ...board, seq, participants, run, rows: publication.rows };
  if (seq <= board.seq) return board;
  if (seq !== board.seq + 1) return null;
  const rows = applyPublication(board.rows, publication, board.leaderboard.tieRule);
  return { ...board, seq, participants, run, rows };
}

/**
 * One connection that comes back by itself, with the subscriptions made on it.
 *
 * `onState({state, error})` hears of "connecting", "connected", "reconnecting" and "closed"; `error` comes
 * with a "closed" that nobody asked for and is final. `getToken` (async) is asked when there is no token yet
 * or the server no longer takes the one at hand; without either the connection is anonymous. It is asked again
 * after any error but a LiveError that is not temporary.
 */
export class LiveClient {
  #url;
  #token;
  #getToken;
  #onState;
  #WebSocket;
  #random;
  #state = "closed";
  #attempt = 0; // number of the newest attempt to connect: an older one that wakes up late does nothing
  #socket = null;
  #tokenIsFresh = false; // from getToken and not yet accepted: refused now, another one won't help
  #failures = 0;
  #retryTimer;
  #silenceTimer;
  #silenceMs = 0;
  #pong = false;
  #lastId = 0;
  #pending = new Map();
  #subscriptions = new Map();

  constructor(url, { token, getToken, onState = () => {}, WebSocket = globalThis.WebSocket, random } = {}) {
    this.#url = url;
    this.#token = token;
    this.#getToken = getToken;
    this.#onState = onState;
    this.#WebSocket = WebSocket;
    this.#random = random;
  }

  get state() {
    return this.#state;
  }

  connect() {
    if (this.#state !== "closed") return;
    this.#failures = 0;
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#setState("connecting");
    this.#open();
  }

  close() {
    this.#finish();
  }

  /**
   * Watches a channel: `onSnapshot(data)` on every subscribe, also after a reconnect, then
   * `onPublication(data)`. `onError(error)` means that the server refused or ended the subscription; it is
   * tried again only on the next connection or by `resubscribe`.
   */
  subscribe(channel, data, { onSnapshot, onPublication, onError = () => {} }) {
    if (this.#subscriptions.has(channel)) throw new Error(`Already subscribed to ${channel}`);
    const subscription = { channel, data, onSnapshot, onPublication, onError, live: false, failures: 0 };
    this.#subscriptions.set(channel, subscription);
    if (this.#state === "connected") this.#subscribe(subscription);
  }

  unsubscribe(channel) {
    const subscription = this.#subscriptions.get(channel);
    if (!subscription) return;
    clearTimeout(subscription.retryTimer);
    subscription.request = undefined;
    this.#subscriptions.delete(channel);
    if (this.#state === "connected") this.#command("unsubscribe", { channel });
  }

  /** Asks for a fresh snapshot of a channel that is being watched. */
  resubscribe(channel) {
    const subscription = this.#subscriptions.get(channel);
    if (!subscription || this.#state !== "connected") return;
    this.#command("unsubscribe", { channel });
    this.#subscribe(subscription);
  }

  /** The answer's data. Rejects with a LiveError; a temporary one doesn't say whether the call was carried out. */
  rpc(method, data) {
    return new Promise((resolve, reject) => {
      if (this.#state !== "connected") {
        reject(new LiveError({ message: "Not connected", temporary: true }));
        return;
      }
      this.#command("rpc", { method, data }, (error, result) => (error ? reject(error) : resolve(result.data)));
    });
  }

  async #open() {
    const attempt = ++this.#attempt;
    this.#retryTimer = undefined;
    if (!this.#token && this.#getToken) {
      try {
        const token = await this.#getToken();
        if (attempt !== this.#attempt) return;
        this.#token = token;
        this.#tokenIsFresh = true;
      } catch (error) {
        if (attempt !== this.#attempt) return;
        this.#drop(error instanceof LiveError ? error : new LiveError({ message: String(error), temporary: true }));
        return;
      }
    }
    let socket;
    try {
      socket = new this.#WebSocket(this.#url);
    } catch (error) {
      this.#finish(new LiveError({ message: error.message })); // not an address, or ws: on an https: page
      return;
    }
    this.#socket = socket;
    this.#silenceMs = ANSWER_TIMEOUT_MS;
    this.#expectMessage();
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      const request = this.#token ? { token: this.#token } : {};
      this.#command("connect", request, (error, result) => (error ? this.#drop(error) : this.#connected(result)));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(socket, data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#closed(code, reason);
    };
  }

  #connected({ ping = 0, pong = false }) {
    this.#tokenIsFresh = false;
    this.#pong = pong;
    this.#silenceMs = ping ? ping * 1000 + PING_GRACE_MS : 0;
    this.#expectMessage();
    this.#setState("connected");
    for (const subscription of this.#subscriptions.values()) this.#subscribe(subscription);
  }

  #closed(code, message) {
    this.#drop(new LiveError({ code, message, temporary: !isFinal(code) }));
  }

  /** Gives this socket up, without waiting for a dead one to say goodbye, and comes back unless that is useless. */
  #drop(error) {
    this.#disconnect(error);
    if (TOKEN_CODES.has(error.code) && this.#getToken && !this.#tokenIsFresh) {
      this.#token = undefined;
    } else if (!error.temporary) {
      this.#finish(error);
      return;
    }
    const delay = reconnectDelayMs(this.#failures++, this.#random, error.code);
    this.#retryTimer = setTimeout(() => this.#open(), delay);
    this.#setState("reconnecting");
  }

  #disconnect(error) {
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { timer } of pending) clearTimeout(timer);
    for (const { retryTimer } of this.#subscriptions.values()) clearTimeout(retryTimer);
    const lost = new LiveError({ code: error.code, message: "Connection lost", temporary: true });
    for (const { method, done } of pending) if (method === "rpc") done(lost);
  }

  #finish(error) {
    if (this.#state === "closed") return;
    this.#attempt++;
    clearTimeout(this.#retryTimer);
    globalThis.removeEventListener?.("online", this.#retryNow);
    this.#disconnect(error ?? new LiveError({}));
    this.#setState("closed", error);
  }

  #retryNow = () => {
    if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#open();
  };

  #setState(state, error) {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState({ state, error });
  }

  /** Any message shows that the server is there; silence past its ping shows that it isn't. */
  #expectMessage() {
    clearTimeout(this.#silenceTimer);
    if (!this.#silenceMs) return;
    const dead = new LiveError({ message: "The server is silent", temporary: true });
    this.#silenceTimer = setTimeout(() => this.#drop(dead), this.#silenceMs);
  }

  /** Calls `done(error, result)` in the order of the server's messages: a promise would let pushes overtake it. */
  #command(method, params, done = () => {}) {
    const id = ++this.#lastId;
    const silent = new LiveError({ message: `No answer to ${method}`, temporary: true });
    const timer = setTimeout(() => this.#drop(silent), ANSWER_TIMEOUT_MS);
    this.#pending.set(id, { method, done, timer });
    this.#socket.send(JSON.stringify({ id, [method]: params }));
    return id;
  }

  #receive(socket, text) {
    this.#expectMessage();
    let messages;
    try {
      messages = parseFrame(text);
    } catch (error) {
      this.#drop(new LiveError({ message: error.message, temporary: true }));
      return;
    }
    for (const message of messages) {
      if (socket !== this.#socket) return;
      if (message.push) this.#push(message.push);
      else if (message.id) this.#reply(message);
      else this.#ping();
    }
  }

  #ping() {
    this.#failures = 0; // only a connection that has held for a while makes the next reconnect quick again
    if (this.#pong) this.#socket.send("{}");
  }

  #reply(message) {
    const command = this.#pending.get(message.id);
    if (!command) return;
    clearTimeout(command.timer);
    this.#pending.delete(message.id);
    if (message.error) command.done(new LiveError(message.error));
    else command.done(null, message[command.method] ?? {});
  }

  #push({ channel, pub, unsubscribe, disconnect }) {
    if (disconnect) {
      this.#closed(disconnect.code, disconnect.reason);
      return;
    }
    const subscription = this.#subscriptions.get(channel);
    if (!subscription?.live) return; // a late one of an earlier subscription: the snapshot under way holds it
    if (pub) {
      subscription.onPublication(pub.data);
    } else if (unsubscribe) {
      subscription.live = false;
      const { code, reason } = unsubscribe;
      if (code >= RESUBSCRIBE_FROM_CODE) this.#subscribe(subscription);
      else subscription.onError(new LiveError({ code, message: reason }));
    }
  }

  #subscribe(subscription) {
    const { channel, data, onSnapshot, onError } = subscription;
    clearTimeout(subscription.retryTimer);
    subscription.live = false;
    const request = this.#command("subscribe", { channel, data }, (error, result) => {
      if (subscription.request !== request) return; // unsubscribed or asked again meanwhile
      if (!error) {
        subscription.live = true;
        subscription.failures = 0;
        onSnapshot(result.data);
      } else if (error.temporary) {
        const delay = reconnectDelayMs(subscription.failures++, this.#random);
        subscription.retryTimer = setTimeout(() => this.#subscribe(subscription), delay);
      } else {
        onError(error);
      }
    });
    subscription.request = request;
  }
}
