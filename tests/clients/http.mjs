// Node's http module as it comes.
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

for await (const line of createInterface({ input: process.stdin })) {
  const [url, key, framing, content] = line.split("\t");
  const sent = request(url, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${process.env.TOKEN}`,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    },
  });
  if (framing === "chunked") {
    sent.write(content);
    sent.end();
  } else {
    sent.end(content);
  }
  const [response] = await once(sent, "response");
  console.log(`${response.statusCode}\t${await text(response)}`);
}
