/*! Podium. Copyright 2026 The Podium authors. SPDX-License-Identifier: Apache-2.0 */
// A small client for the JSON form of the Centrifuge protocol (docs/live-protocol.md), and pure functions that apply
// publications to a leaderboard. No dependency, no build step.

/** Longest wait for a WebSocket to open, and for the answer to a command. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Time after a missed ping until the server counts as dead: a margin for a slow network. */
const PING_GRACE_MS = 10_000;
/** Reconnect delays: 0.2–0.7 s at first, random so that not everybody returns at once, and at most 20 s. */
const BACKOFF_FLOOR_MS = 200;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_CEILING_MS = 19_800;
/** Close code of a server that stops, and the time over which its viewers spread their reconnects. */
const SHUTDOWN_CODE = 3001;
const SHUTDOWN_SPREAD_MS = 3000;
/** From this code on an `unsubscribe` push asks the client to subscribe again (Centrifuge's ranges). */
const RESUBSCRIBE_FROM_CODE = 2500;
/** Codes for a token that was refused or has expired: errors 101 and 109, close codes 3005 and 3500. */
const TOKEN_CODES = new Set([101, 109, 3005, 3500]);

/** An error from the server, or from the client itself with code 0 (not connected, no answer, unreadable). */
export class LiveError extends Error {
  /** `temporary`: the same request may succeed later. */
  constructor({ code = 0, message = "", temporary = false }) {
    super(message);
    this.name = "LiveError";
    this.code = code;
    this.temporary = temporary;
  }
}

/** Whether a close code tells the client not to reconnect. */
export function isFinal(code) {
  return (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999);
}

/** The milliseconds to wait before reconnecting, after `failures` earlier failures; `random` returns [0, 1). */
export function reconnectDelayMs(failures, random = Math.random, code = 0) {
  if (code === SHUTDOWN_CODE) return BACKOFF_FLOOR_MS + random() * SHUTDOWN_SPREAD_MS;
  return BACKOFF_FLOOR_MS + random() * Math.min(BACKOFF_CEILING_MS, BACKOFF_FIRST_MS * 2 ** failures);
}

/** Parse a text frame: one JSON object per line. Throws SyntaxError on anything else. */
export function parseFrame(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
}

/** Return the rows with ranks from 1 by the tie rule: ordinal, competition or dense. */
function renumber(rows, tieRule) {
  let rank = 0;
  return rows.map((row, index) => {
    const tied = index > 0 && tieRule !== "ordinal" && row.value === rows[index - 1].value;
    if (!tied) rank = tieRule === "dense" ? rank + 1 : index + 1;
    return { ...row, rank };
  });
}

/**
 * Return the rows after a publication; the given rows are not changed. Everybody in `left` and `rows` is removed,
 * `rows` are inserted at their positions in ascending order, and all ranks are set again. The server controls the
 * length: it lists those who left. Rows that the publication doesn't name get `previousRank` null.
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
 * Return the board `{seq, leaderboard, run, participants, rows}`, which begins as a snapshot, after a publication.
 * A publication that the board includes already changes nothing. Null means that one was missed, and that a new
 * snapshot is needed. A `reset` has all rows and is always applied.
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
 * A connection that reconnects by itself and restores its subscriptions.
 *
 * `onState({state, error})` is called with "connecting", "connected", "reconnecting" and "closed"; `error` is set
 * where the connection was closed for good without a call of `close`. `getToken` (async) is called when there is no
 * token yet, or the server no longer accepts it; without token and `getToken` the connection is anonymous. It is
 * called again after any error except a LiveError that is not temporary.
 */
export class LiveClient {
  #url;
  #token;
  #getToken;
  #onState;
  #WebSocket;
  #random;
  #state = "closed";
  #attempt = 0; // number of the newest attempt to connect; an older one that finishes late does nothing
  #socket = null;
  #tokenIsFresh = false; // from getToken and not accepted yet: if it is refused, another one won't help
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
   * Subscribe to a channel. `onSnapshot(data)` is called on every subscription, also after a reconnect, then
   * `onPublication(data)`. `onError(error)` is called where the server refused or ended the subscription; it is
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

  /** Get a new snapshot of a subscribed channel. */
  resubscribe(channel) {
    const subscription = this.#subscriptions.get(channel);
    if (!subscription || this.#state !== "connected") return;
    this.#command("unsubscribe", { channel });
    this.#subscribe(subscription);
  }

  /** Return the answer's data. Rejects with a LiveError; after a temporary one the call may or may not have had effect. */
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
      this.#finish(new LiveError({ message: error.message })); // no valid URL, or ws: on an https: page
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

  /** Abandon the socket without waiting for its close, and reconnect unless the error is final. */
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

  /** Restart the timer that treats a server as dead once its ping is overdue; any message counts. */
  #expectMessage() {
    clearTimeout(this.#silenceTimer);
    if (!this.#silenceMs) return;
    const dead = new LiveError({ message: "The server is silent", temporary: true });
    this.#silenceTimer = setTimeout(() => this.#drop(dead), this.#silenceMs);
  }

  /** Send a command; `done(error, result)` is called synchronously, as pushes would overtake a promise. */
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
    this.#failures = 0; // only after a ping: a connection that breaks at once must not reset the backoff
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
    if (!subscription?.live) return; // late, from an earlier subscription: the next snapshot includes it
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
      if (subscription.request !== request) return; // unsubscribed or subscribed again meanwhile
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
