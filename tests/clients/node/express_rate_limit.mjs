// express-rate-limit's store, rate-limit-redis: express_rate_limit.mjs SOCKET

import { RedisStore } from "rate-limit-redis";
import { createClient } from "redis";
import { end, equal, ok, socketPath, step, version } from "./check.mjs";

version("rate-limit-redis");
const client = createClient({ socket: { path: socketPath } });
await client.connect();
const store = new RedisStore({ sendCommand: (...words) => client.sendCommand(words) });

await step("init", async () => store.init({ windowMs: 60_000 }));

await step("increment/get", async () => {
  const first = await store.increment("who");
  equal(first.totalHits, 1);
  ok(first.resetTime > Date.now() + 50_000);
  equal((await store.increment("who")).totalHits, 2);
  equal((await store.get("who")).totalHits, 2);
});

await step("decrement/resetKey", async () => {
  await store.decrement("who");
  equal((await store.get("who")).totalHits, 1);
  await store.resetKey("who");
  equal((await store.increment("who")).totalHits, 1);
});

end();
