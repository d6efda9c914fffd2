// The peer: Express and cassandra-driver, an INSERT per event, prepared, by quorum.
//
// Written as the guides of both have it, and run with NODE_ENV=production. The driver's defaults:
// one connection to each node, TCP_NODELAY set.

import cassandra from "cassandra-driver";
import express from "express";

const store = new URL(process.env.WEBHOOK_STORE);
const [host, port] = process.env.WEBHOOK_ADDRESS.split(":");

const client = new cassandra.Client({
  contactPoints: store.host.split(","),
  localDataCenter: "datacenter1",
  keyspace: store.pathname.slice(1),
  queryOptions: { consistency: cassandra.types.consistencies.quorum, prepare: true },
});
const INSERT = `
  INSERT INTO events (minute, bucket, id, received_at, type, call_id, body)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;
const BUCKETS = 16;

const app = express();
app.use(express.json());

app.post("/events", async (request, response) => {
  const event = request.body;
  if (typeof event?.type !== "string" || event.type === "") {
    return response.status(422).json({ error: "type must be a non-empty string" });
  }
  const now = new Date();
  await client.execute(INSERT, [
    Math.floor(now.getTime() / 60_000),
    Math.floor(Math.random() * BUCKETS),
    cassandra.types.TimeUuid.now(),
    now,
    event.type,
    event.call_id ?? null,
    JSON.stringify(event),
  ]);
  response.json({ accepted: 1 });
});

await client.connect();
const server = app.listen(Number(port), host, () => {
  console.error(`listening on http://${host}:${server.address().port}`);
});
