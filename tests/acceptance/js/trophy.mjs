// Makes calls of the published server SDK from a test: one JSON object in, one answer or refusal a line out.
import { createInterface } from "node:readline";
import sdk from "@trophyso/node";

const lines = createInterface({ input: process.stdin });
let client;
for await (const line of lines) {
  const { open, method, args } = JSON.parse(line);
  if (open) {
    client = new sdk.TrophyApiClient(open);
    continue;
  }
  const path = method.split(".");
  const name = path.pop();
  const found = path.reduce((part, key) => part[key], client);
  try {
    const value = await found[name](...args, { maxRetries: 0 });
    console.log(JSON.stringify({ value }));
  } catch (error) {
    console.log(JSON.stringify({ status: error.statusCode ?? 0, error: String(error.message ?? error) }));
  }
}
