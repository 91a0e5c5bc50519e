// cache-manager over Keyv and @keyv/redis: cache_manager.mjs SOCKET

import KeyvRedis from "@keyv/redis";
import { createCache } from "cache-manager";
import { Keyv } from "keyv";
import { end, equal, socketPath, step, version } from "./check.mjs";

version("cache-manager");
const cache = createCache({ stores: [new Keyv({ store: new KeyvRedis({ socket: { path: socketPath } }) })] });

await step("get/set", async () => {
  equal(await cache.set("k", { a: [1, 2] }, 100_000), { a: [1, 2] });
  equal(await cache.get("k"), { a: [1, 2] });
  equal(await cache.get("nothing"), undefined);
});

await step("ttl", async () => {
  await cache.set("short", "v", 30);
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(await cache.get("short"), undefined);
  const expires = await cache.ttl("k");
  equal(expires > Date.now() + 90_000 && expires <= Date.now() + 100_000, true);
});

await step("mget/mset/mdel", async () => {
  await cache.mset([{ key: "m1", value: 1 }, { key: "m2", value: "two" }]);
  equal(await cache.mget(["m1", "nothing", "m2"]), [1, undefined, "two"]);
  await cache.mdel(["m1", "m2"]);
  equal(await cache.get("m1"), undefined);
});

await step("wrap", async () => {
  let calls = 0;
  const make = () => cache.wrap("wrapped", async () => { calls += 1; return 42; }, 100_000);
  equal([await make(), await make()], [42, 42]);
  equal(calls, 1);
});

await step("del/clear", async () => {
  equal(await cache.del("k"), true);
  await cache.clear();
  equal(await cache.get("wrapped"), undefined);
  await cache.disconnect();
});

end();
