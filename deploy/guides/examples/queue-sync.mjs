// Ask Pagewire for a sync from another service: node queue-sync.mjs FACEBOOK_PAGE_ID
//
// Needs REDIS_URL, and: npm install ioredis @msgpack/msgpack

import { randomUUID } from "node:crypto";
import { encode } from "@msgpack/msgpack";
import Redis from "ioredis";

const QUEUE = "pagewire:now"; // what people wait for; "pagewire:later" for the rest
const KEPT_MS = 7 * 24 * 60 * 60 * 1000; // a job nobody took by then is forgotten

// Queue a job and return its id. Ids are never used twice: asking twice for the same is harmless.
async function put(redis, name, argumentsByName, queue = QUEUE) {
  const id = `${queue}:${name}:${randomUUID()}`;
  const now = Date.now();
  const job = encode({ t: null, f: name, a: [], k: argumentsByName, et: now });
  const done = await redis
    .multi()
    .set(`arq:job:${id}`, Buffer.from(job), "PX", KEPT_MS)
    .zadd(queue, now, id)
    .exec();
  const failed = done.find(([error]) => error);
  if (failed) throw failed[0];
  return id;
}

const redis = new Redis(process.env.REDIS_URL, { enableReadyCheck: false });
try {
  console.log(await put(redis, "sync_page", { page: process.argv[2], full: false }));
} finally {
  redis.disconnect();
}
