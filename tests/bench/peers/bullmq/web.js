// Fastify and BullMQ: one job an event, its id the mid, so that a duplicate is no second job.
import { createHmac, timingSafeEqual } from "node:crypto";
import { Queue } from "bullmq";
import fastify from "fastify";
import { connection } from "./connection.js";

const queue = new Queue("events", {
  connection,
  defaultJobOptions: { removeOnComplete: true, attempts: 1000 },
});
const app = fastify();

app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));

app.post("/api/webhook", async (request, reply) => {
  if (!isSigned(request.body, request.headers["x-hub-signature-256"] ?? "")) {
    return reply.code(403).send();
  }
  await queue.addBulk(
    rows(request.body).map((row) => ({ name: "store", data: row, opts: { jobId: row[1] } })),
  );
  return reply.send();
});

function isSigned(body, signature) {
  const wanted = "sha256=" + createHmac("sha256", process.env.APP_SECRET).update(body).digest("hex");
  return wanted.length === signature.length && timingSafeEqual(Buffer.from(wanted), Buffer.from(signature));
}

function rows(body) {
  return JSON.parse(body).entry.flatMap(({ id, messaging }) => messaging.map((item) => row(id, item)));
}

// The parameters of store.sql, in its order.
function row(page, item) {
  const said = item.message ?? item.postback;
  return [
    page,
    said.mid,
    (said.is_echo ? item.recipient : item.sender).id,
    said.is_echo ? "out" : "in",
    item.timestamp,
    said.text ?? said.title ?? null,
    said.attachments ? JSON.stringify(said.attachments) : null,
  ];
}

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
