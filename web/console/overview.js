// The overview: polls numbers, charts and health, and shows when the server does not answer.

import { answered, signedOut, silent } from "./console.js";

const POLL_MS = 2000;
const PATIENCE_MS = 10_000; // the server waits up to 2 s for a store, at worst several times
const SAY_MS = 60_000; // least time between two announcements of the numbers; a problem is announced at once
const CALM_MS = 10_000; // least time between two redraws for viewers who prefer reduced motion
const LEAST = { rate: 1, logEntries: 10, flushLagS: 1 }; // least end of a scale: below it noise would look important
const WIDTH = 640;
const HEIGHT = 160;

const root = document.getElementById("overview");
const keptMs = Number(root.dataset.keptMs);
const gapMs = Number(root.dataset.gapMs);
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const shown = (value) => (value === null ? "–" : number.format(value));
const element = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** Round up to 1, 2 or 5 times a power of ten, for the end of a scale. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value * 0.999);
}

function draw(card, samples, atMs) {
  const from = atMs - keptMs;
  const most = roundUp(Math.max(LEAST[card.dataset.chart], ...samples.map(([, value]) => value)));
  let line = "";
  let before = -Infinity;
  for (const [at, value] of samples) {
    const x = ((at - from) / keptMs) * WIDTH;
    const y = HEIGHT - 1 - (value / most) * (HEIGHT - 2);
    line += `${at - before > gapMs ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    before = at;
  }
  card.querySelector(".line").setAttribute("d", line);
  card.querySelector("[data-most]").textContent = number.format(most);
  card.querySelector("[data-half]").textContent = number.format(most / 2);
  card.querySelector("[data-from]").textContent = clock.format(from);
  card.querySelector("[data-to]").textContent = clock.format(atMs);
  card.querySelector("[data-empty]").hidden = samples.length > 1;
}

function list(card, samples) {
  const rows = [...samples].reverse().map(([at, value]) => {
    const row = document.createElement("tr");
    row.append(
      element("th", { scope: "row", textContent: clock.format(at) }),
      element("td", { className: "n", textContent: number.format(value) }),
    );
    return row;
  });
  card.querySelector("tbody").replaceChildren(...rows);
}

let drawnAt = -Infinity;
function charts(numbers) {
  const still = calm.matches && numbers.atMs - drawnAt < CALM_MS;
  if (!still) drawnAt = numbers.atMs;
  for (const card of root.querySelectorAll("[data-chart]")) {
    const samples = numbers.series[card.dataset.chart].filter(([at]) => at > numbers.atMs - keptMs);
    if (!still) draw(card, samples, numbers.atMs);
    if (card.querySelector("details").open && !card.querySelector(".scroll").matches(":focus, :hover")) list(card, samples);
  }
}

function health(numbers) {
  const rows = [
    ...Object.entries(numbers.health).map(([name, part]) => [part.status, part.status, name + (part.detail ? `: ${part.detail}` : "")]),
    ...numbers.warnings.map((text) => ["missing", "warning", text]),
  ];
  root.querySelector("[data-health]").replaceChildren(...rows.map(([kind, word, text]) => {
    const item = document.createElement("li");
    item.append(element("span", { className: `state ${kind}`, textContent: word }), ` ${text}`);
    return item;
  }));
}

let saidAt = Date.now();
let saidHealth = "";
function say(numbers) {
  const missing = Object.entries(numbers.health).filter(([, part]) => part.status !== "ok").map(([name]) => name);
  const well = missing.length ? `Problems: ${missing.join(", ")}.` : "All parts are ok.";
  saidHealth ||= well; // the state at load is part of the page, which is read anyway
  if (well === saidHealth && Date.now() - saidAt < SAY_MS) return;
  saidAt = Date.now();
  saidHealth = well;
  root.querySelector("[data-said]").textContent = `${well} ${shown(numbers.rate)} events a second, ` +
    `${shown(numbers.logEntries)} log entries waiting, flush lag ${shown(numbers.flushLagS)} seconds.`;
}

function show(numbers) {
  for (const figure of root.querySelectorAll("[data-figure]")) {
    const name = figure.dataset.figure;
    figure.textContent = shown(name in numbers.active ? numbers.active[name] : numbers[name]);
  }
  charts(numbers);
  health(numbers);
  say(numbers);
}

let current = JSON.parse(root.dataset.numbers);
let timer;
let asking = false;

async function look() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  try {
    const answer = await fetch("/console/overview.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 401) {
      signedOut();
      document.removeEventListener("visibilitychange", look);
      return;
    }
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    current = await answer.json();
    answered();
    show(current);
  } catch {
    silent();
  } finally {
    asking = false;
  }
  timer = setTimeout(look, POLL_MS);
}

for (const card of root.querySelectorAll("[data-chart]")) {
  card.querySelector("details").addEventListener("toggle", () => list(card, current.series[card.dataset.chart]));
}
document.addEventListener("visibilitychange", look);
show(current);
timer = setTimeout(look, POLL_MS);
