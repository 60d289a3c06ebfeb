import { readFileSync } from "node:fs";
import { Worker } from "bullmq";
import pg from "pg";
import { connection } from "./connection.js";

const CONCURRENCY = 10;
const text = readFileSync(new URL("../store.sql", import.meta.url), "utf8");
const address = new URL(process.env.DATABASE_URL.replace("@/", "@localhost/"));
const pool = new pg.Pool({
  host: address.searchParams.get("host"),
  database: address.pathname.slice(1),
  user: address.username,
  max: CONCURRENCY,
});

const worker = new Worker("events", (job) => pool.query({ name: "store", text, values: job.data }), {
  connection,
  concurrency: CONCURRENCY,
});
worker.on("error", (error) => console.error(error));
