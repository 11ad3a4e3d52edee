// The driver in Node: a command a line on stdin, an event a line on stdout; it ends with its stdin.
import { createInterface } from "node:readline";

import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

import "./driver.js";

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const run = globalThis.makeDriver(Centrifuge, emit, { websocket: WebSocket });

for await (const line of createInterface({ input: process.stdin })) {
  run(JSON.parse(line));
}
process.exit(0);
