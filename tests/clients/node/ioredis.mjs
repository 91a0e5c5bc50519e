// ioredis: ioredis.mjs SOCKET

import { Redis } from "ioredis";
import { end, equal, ok, socketPath, step, throws, version } from "./check.mjs";

version("ioredis");
const client = new Redis(socketPath);
client.on("error", (error) => console.log(`note ${error}`));

await step("connect", async () => {
  equal(await client.ping(), "PONG");
  equal(client.status, "ready");
});

await step("get/set", async () => {
  equal(await client.set("k", "v"), "OK");
  equal(await client.get("k"), "v");
  equal(await client.get("nothing"), null);
  equal(await client.set("k", "w", "EX", 100, "NX"), null);
  const binary = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  equal(await client.set(binary, binary), "OK");
  equal(await client.getBuffer(binary), binary);
  equal(await client.incrbyfloat("f", 0.5), "0.5");
  await throws(client.incr("k"), /value is not an integer or out of range/);
});

await step("expire", async () => {
  equal(await client.set("e", "v", "EX", 100), "OK");
  ok((await client.ttl("e")) >= 95);
  equal(await client.expire("e", 200, "GT"), 1);
  ok((await client.pttl("e")) >= 195_000);
  equal(await client.persist("e"), 1);
});

await step("mget", async () => {
  equal(await client.mset("m1", "1", "m2", "2"), "OK");
  equal(await client.mget("m1", "nothing", "m2"), ["1", null, "2"]);
});

await step("scanStream", async () => {
  await client.mset(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`scan:${n}`, n])));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "scan:*" })) keys.forEach((key) => found.add(key));
  equal(found.size, 500);
});

await step("pipeline", async () => {
  equal(await client.pipeline().set("p", "1").incr("p").exec(), [[null, "OK"], [null, 2]]);
});

await step("multi/exec", async () => {
  equal(await client.multi().set("t", "1").incr("t").get("t").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
  await client.watch("t");
  const other = client.duplicate();
  await other.set("t", "theirs");
  equal(await client.multi().set("t", "mine").exec(), null);
  equal(await client.get("t"), "theirs");
  other.disconnect();
  equal(await client.multi({ pipeline: false }), "OK");
  equal(await client.get("t"), "QUEUED");
  equal(await client.exec(), [[null, "theirs"]]);
});

await step("pubsub", async () => {
  const subscriber = client.duplicate();
  const message = new Promise((resolve) => subscriber.on("message", (...got) => resolve(got)));
  const pmessage = new Promise((resolve) => subscriber.on("pmessage", (...got) => resolve(got)));
  equal(await subscriber.subscribe("news"), 1);
  equal(await subscriber.psubscribe("new*"), 2);
  equal(await client.publish("news", "hello"), 2);
  equal(await message, ["news", "hello"]);
  equal(await pmessage, ["new*", "news", "hello"]);
  equal(await client.pubsub("CHANNELS"), ["news"]);
  equal(await subscriber.unsubscribe("news"), 1);
  await subscriber.quit();
});

await step("lock by hand", async () => {
  equal(await client.set("lock", "token", "PX", 10_000, "NX"), "OK");
  equal(await client.set("lock", "other", "PX", 10_000, "NX"), null);
});

await step("flushdb", async () => {
  equal(await client.flushdb(), "OK");
  equal(await client.dbsize(), 0);
  equal(await client.quit(), "OK");
});

end();
