// Node's built-in fetch (undici) as it comes.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const [url, key, framing, content] = line.split("\t");
  const response = await fetch(url, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${process.env.TOKEN}`,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    },
    body: framing === "chunked" ? new Blob([content]).stream() : content,
    duplex: "half",
  });
  console.log(`${response.status}\t${await response.text()}`);
}
