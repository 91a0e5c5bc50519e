// rate-limiter-flexible over ioredis and over node-redis: rate_limiter_flexible.mjs SOCKET ioredis|redis

import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";
import { end, equal, ok, socketPath, step, version } from "./check.mjs";

version("rate-limiter-flexible");
const useRedisPackage = process.argv[3] === "redis";
const storeClient = useRedisPackage ? createClient({ socket: { path: socketPath } }) : new Redis(socketPath);
storeClient.on("error", (error) => console.log(`note ${error}`));
if (useRedisPackage) await storeClient.connect();
const limiter = new RateLimiterRedis({ storeClient, useRedisPackage, points: 2, duration: 60 });

await step("consume", async () => {
  const first = await limiter.consume("who");
  equal([first.consumedPoints, first.remainingPoints, first.isFirstInDuration], [1, 1, true]);
  ok(first.msBeforeNext > 50_000 && first.msBeforeNext <= 60_000);
  equal((await limiter.consume("who")).remainingPoints, 0);
  let refused;
  try {
    await limiter.consume("who");
  } catch (rejection) {
    if (rejection instanceof Error) throw rejection;
    refused = rejection;
  }
  equal(refused?.consumedPoints, 3);
});

await step("get/penalty/reward", async () => {
  equal((await limiter.get("who")).consumedPoints, 3);
  equal(await limiter.get("nobody"), null);
  equal((await limiter.penalty("who", 2)).consumedPoints, 5);
  equal((await limiter.reward("who", 4)).consumedPoints, 1);
});

await step("block", async () => {
  await limiter.block("blocked", 30);
  ok((await limiter.get("blocked")).consumedPoints > 2);
});

await step("without an end", async () => {
  const forever = new RateLimiterRedis({ storeClient, useRedisPackage, points: 2, duration: 0, keyPrefix: "f" });
  equal((await forever.consume("who")).consumedPoints, 1);
});

await step("delete", async () => {
  equal(await limiter.delete("who"), true);
  equal(await limiter.delete("who"), false);
  equal(await limiter.get("who"), null);
});

end();
