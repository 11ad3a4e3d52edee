// The demo page: a widget for each board of the session, and a form that posts events over a WebSocket as the demo
// user of the session's token.

import { LiveClient } from "../widget/podium-leaderboard.js";

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const part = (id) => document.getElementById(id);

/** Fetch the demo session `{socketUrl, user, token, metric, boards}` with a new token. */
async function fetchSession() {
  const response = await fetch("/demo/session.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

async function freshToken() {
  return (await fetchSession()).token;
}

function paragraph(text, className = "") {
  return Object.assign(document.createElement("p"), { textContent: text, className });
}

/** 128 random bits. Not `crypto.randomUUID`, which a phone on the local network (plain http) doesn't have. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function showBoards(session) {
  const widgets = session.boards.map(({ key }) => {
    const widget = document.createElement("podium-leaderboard");
    widget.getToken = freshToken;
    for (const [name, value] of Object.entries({
      src: session.socketUrl, board: key, limit: 10, token: session.token, user: session.user.id,
    })) widget.setAttribute(name, value);
    return widget;
  });
  part("boards").replaceChildren(...widgets);
}

/** A sentence about one board of an event's answer, like "Today: up from rank 12 to 9." */
function rankSentence(name, { rank, previousRank }) {
  if (rank === null) return `${name}: not ranked.`;
  const place = numbers.format(rank);
  if (previousRank === null) return `${name}: new at rank ${place}.`;
  if (previousRank === rank) return `${name}: still rank ${place}.`;
  return `${name}: ${rank < previousRank ? "up" : "down"} from rank ${numbers.format(previousRank)} to ${place}.`;
}

function showForm(session) {
  const result = part("result");
  const button = part("post-button");
  const client = new LiveClient(new URL(session.socketUrl, location.href).href, {
    token: session.token,
    getToken: freshToken,
    onState: ({ error }) => {
      if (error) report("bad", `The connection for posting was closed: ${error.message}. Reload the page.`);
    },
  });
  // The event whose answer is missing. It is sent again with the same idempotency key, so it counts once.
  let unanswered = null;

  function report(className, ...sentences) {
    result.replaceChildren(...sentences.map((sentence, index) => paragraph(sentence, index ? "" : className)));
  }

  async function post() {
    const value = part("words").valueAsNumber;
    if (unanswered?.value !== value) unanswered = { value, idempotencyKey: randomKey() };
    try {
      const answer = await client.rpc("event", { key: session.metric, user: session.user, ...unanswered });
      unanswered = null;
      const ranks = session.boards
        .filter(({ key }) => answer.leaderboards[key])
        .map(({ key, name }) => rankSentence(name, answer.leaderboards[key]));
      report("good", `Counted: ${numbers.format(answer.total)} words in total.`, ...ranks);
    } catch (error) {
      if (error.temporary) {
        report("bad", `${error.message}. Try again in a moment: an event that had arrived is not counted twice.`);
      } else {
        unanswered = null;
        report("bad", `Not counted: ${error.message}`);
      }
    }
  }

  part("user-name").textContent = session.user.name || session.user.id;
  part("post").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // not `disabled`, which would take the keyboard's focus away
    await post();
    button.ariaDisabled = null;
  });
  client.connect();
}

function showCurl(session) {
  const body = JSON.stringify({ user: { id: session.user.id }, value: 250 }).replaceAll("'", "\\u0027");
  const line = [
    `curl ${location.origin}/v1/metrics/${session.metric}/event`,
    '-H "X-API-KEY: $PODIUM_KEY"',
    '-H "Content-Type: application/json"',
    '-H "Idempotency-Key: $(uuidgen)"',
    `-d '${body}'`,
  ].join(" \\\n  ");
  part("curl-line").textContent = line;
  part("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      part("copied").textContent = "Copied.";
    } catch {
      // The clipboard may be refused, and is absent on pages over plain http: select the text instead.
      getSelection().selectAllChildren(part("curl-line"));
      part("copied").textContent = "Selected: copy it with the keyboard.";
    }
  });
}

try {
  const session = await fetchSession();
  showBoards(session);
  showForm(session);
  showCurl(session);
} catch (error) {
  const problem = part("problem");
  problem.textContent = `The demo could not be started: ${error.message}. Is the server running with its demo space?`;
  problem.hidden = false;
}
