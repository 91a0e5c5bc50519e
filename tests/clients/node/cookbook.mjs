// The Node recipes of protocol/COOKBOOK.md, run as they stand there: cookbook.mjs SOCKET

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { end, equal, ok, socketPath, step, version } from "./check.mjs";

const DEFAULT_SOCKET = "/run/larder/larder.sock";

version("ioredis");
const page = readFileSync(process.env.COOKBOOK, "utf8");
const recipes = [...page.matchAll(/```js (\S+)\n(.*?)```\n\n```text\n(.*?)```/gs)];

await step("the page has recipes", () => equal(recipes.map(([, name]) => name), ["ioredis", "keyv"]));

for (const [, name, program, expected] of recipes) {
  await step(name, () => {
    ok(program.includes(DEFAULT_SOCKET));
    // Beside this file, where the packages are found.
    const file = new URL(`recipe-${name}.mjs`, import.meta.url);
    writeFileSync(file, program.replaceAll(DEFAULT_SOCKET, socketPath));
    equal(execFileSync(process.execPath, [file.pathname], { encoding: "utf8", timeout: 60_000 }), expected);
  });
}

end();
