// Keyv with @keyv/redis: keyv.mjs SOCKET

import KeyvRedis from "@keyv/redis";
import { Keyv } from "keyv";
import { end, equal, socketPath, step, version } from "./check.mjs";

version("@keyv/redis");
const keyv = new Keyv({ store: new KeyvRedis({ socket: { path: socketPath } }, { throwOnErrors: true }) });
keyv.on("error", (error) => console.log(`note ${error}`));

await step("get/set", async () => {
  equal(await keyv.set("k", { a: [1, 2] }), true);
  equal(await keyv.get("k"), { a: [1, 2] });
  equal(await keyv.get("nothing"), undefined);
  equal(await keyv.has("k"), true);
  equal(await keyv.has("nothing"), false);
});

await step("ttl", async () => {
  equal(await keyv.set("short", "v", 30), true);
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(await keyv.get("short"), undefined);
  equal(await keyv.set("long", "v", 100_000), true);
  equal(await keyv.get("long"), "v");
});

await step("get_many/set_many/delete_many", async () => {
  await keyv.setMany([{ key: "m1", value: 1 }, { key: "m2", value: "two", ttl: 100_000 }]);
  equal(await keyv.getMany(["m1", "nothing", "m2"]), [1, undefined, "two"]);
  equal(await keyv.deleteMany(["m1", "m2"]), true);
  equal(await keyv.getMany(["m1", "m2"]), [undefined, undefined]);
});

await step("iterator", async () => {
  await Promise.all(Array.from({ length: 50 }, (_, n) => keyv.set(`i${n}`, n)));
  const found = new Map();
  for await (const [key, value] of keyv.iterator()) found.set(key, value);
  equal(found.get("i49"), 49);
  equal([...found.keys()].filter((key) => /^i\d+$/.test(key)).length, 50);
});

await step("delete/clear", async () => {
  equal(await keyv.delete("k"), true);
  equal(await keyv.delete("k"), false);
  await keyv.clear();
  equal(await keyv.get("i1"), undefined);
  await keyv.disconnect();
});

end();
