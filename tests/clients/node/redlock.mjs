// redlock over ioredis: redlock.mjs SOCKET

import { Redis } from "ioredis";
import Redlock from "redlock";
import { end, equal, socketPath, step, throws, version } from "./check.mjs";

version("redlock");
const client = new Redis(socketPath);
const redlock = new Redlock([client], { retryCount: 0 });

await step("lock/extend/unlock", async () => {
  const lock = await redlock.lock(["r1", "r2"], 10_000);
  equal(await client.exists("r1", "r2"), 2);
  await throws(redlock.lock("r1", 10_000), /./);
  await lock.extend(20_000);
  equal((await client.pttl("r1")) > 15_000, true);
  await lock.unlock();
  equal(await client.exists("r1", "r2"), 0);
});

end();
