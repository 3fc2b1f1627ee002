// The official client, unmodified: subscribes and prints what it hears, one JSON array a line.
// Arguments: the service's URL, the key, the access token ("" for none), protocol version, filter.
import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const [url, key, token, vsn, filter] = process.argv.slice(2);
const say = (...line) => console.log(JSON.stringify(line));

const client = createClient(url, key, {
  realtime: { transport: ws, vsn },
  ...(token ? { accessToken: async () => token } : {}),
});
const hear = (change) => say("change", change.table, change.eventType, change.new, change.old);
const messages = { event: "*", schema: "public", table: "messages", ...(filter && { filter }) };
const channel = client
  .channel("desk")
  .on("postgres_changes", { event: "*", schema: "public", table: "conversations" }, hear)
  .on("postgres_changes", messages, hear)
  .on("postgres_changes", { event: "UPDATE", schema: "public", table: "bookings" }, hear)
  .on("system", {}, (news) => say("system", news.status, news.message))
  .subscribe((status, error) => say("status", status, error?.message ?? null));

// The test writes a line when it has heard enough.
process.stdin.once("data", async () => {
  say("left", await channel.unsubscribe());
  await client.realtime.disconnect();
  process.exit(0);
});
