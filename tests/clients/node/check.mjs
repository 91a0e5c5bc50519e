// How a client's script reports; the same lines as ../python/check.py prints.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

let failed = false;

export const socketPath = process.argv[2];
export const equal = assert.deepStrictEqual;
export const ok = assert.ok;

/** The version of an installed package; its package.json need not be exported. */
export function version(name) {
  const path = new URL(`node_modules/${name}/package.json`, `file://${process.env.CLIENTS_NODE_DIR}/`);
  console.log(`version ${JSON.parse(readFileSync(path)).version}`);
}

export async function step(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`failed ${name}: ${String(error.stack ?? error).replaceAll(/\s+/g, " ").slice(0, 600)}`);
  }
}

export async function throws(run, pattern) {
  await assert.rejects(run, pattern);
}

export function end() {
  console.log("end");
  process.exit(failed ? 1 : 0);
}
