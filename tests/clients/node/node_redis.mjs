// node-redis: node_redis.mjs SOCKET [RESP version]; without a version the client's own default.

import { createClient, WatchError } from "redis";
import { end, equal, ok, socketPath, step, throws, version } from "./check.mjs";

version("redis");
const options = process.argv[3] ? { RESP: Number(process.argv[3]) } : {};
const client = createClient({ socket: { path: socketPath }, ...options });
client.on("error", (error) => console.log(`note ${error}`));

await step("connect", async () => {
  await client.connect();
  equal(await client.ping(), "PONG");
});

await step("get/set", async () => {
  equal(await client.set("k", "v"), "OK");
  equal(await client.get("k"), "v");
  equal(await client.get("nothing"), null);
  equal(await client.set("k", "w", { condition: "NX" }), null);
  equal(await client.set("k", "w", { GET: true }), "v");
  equal(await client.incrBy("n", 5), 5);
  equal(await client.getDel("k"), "w");
  await client.set("text", "x");
  await throws(client.incr("text"), /value is not an integer or out of range/);
});

await step("expire", async () => {
  equal(await client.set("e", "v", { expiration: { type: "EX", value: 100 } }), "OK");
  const ttl = await client.ttl("e");
  ok(ttl >= 95 && ttl <= 100, `a TTL near 100, not ${ttl}`);
  equal(await client.expire("e", 200), 1);
  equal(await client.persist("e"), 1);
  equal(await client.pTTL("e"), -1);
  equal(await client.getEx("e", { type: "EX", value: 50 }), "v");
});

await step("mget", async () => {
  equal(await client.mSet({ m1: "1", m2: "2" }), "OK");
  equal(await client.mGet(["m1", "nothing", "m2"]), ["1", null, "2"]);
  equal(await client.del(["m1", "m2", "nothing"]), 2);
});

await step("scanIterator", async () => {
  await Promise.all(Array.from({ length: 500 }, (_, n) => client.set(`scan:${n}`, n.toString())));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "scan:*" })) keys.forEach((key) => found.add(key));
  equal(found.size, 500);
});

await step("multi/exec", async () => {
  equal(await client.multi().set("t", "1").incr("t").get("t").exec(), ["OK", 2, "2"]);
  await client.watch("t");
  const other = client.duplicate();
  await other.connect();
  await other.set("t", "theirs");
  await throws(client.multi().set("t", "mine").exec(), WatchError);
  equal(await client.get("t"), "theirs");
  other.destroy();
});

await step("pubsub", async () => {
  const subscriber = client.duplicate();
  await subscriber.connect();
  const got = new Promise((resolve) => subscriber.subscribe("news", (message, channel) => resolve([message, channel])));
  let receivers = 0;
  for (let n = 0; n < 500 && receivers === 0; n += 1) receivers = await client.publish("news", "hello");
  equal(receivers, 1);
  equal(await got, ["hello", "news"]);
  let resolvePattern;
  const pattern = new Promise((resolve) => { resolvePattern = resolve; });
  await subscriber.pSubscribe("pat*", (message, channel) => resolvePattern([message, channel]));
  await client.publish("pattern", "hello");
  equal(await pattern, ["hello", "pattern"]);
  ok(/^pong$/i.test(await subscriber.ping()), "an answer to PING while subscribed");
  await subscriber.unsubscribe("news");
  await subscriber.close();
});

await step("flushdb", async () => {
  ok((await client.dbSize()) > 500);
  equal(await client.flushDb(), "OK");
  equal(await client.dbSize(), 0);
  await client.close();
});

end();
