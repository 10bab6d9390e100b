// The main journey, over the types that openapi-typescript generates, with openapi-fetch.

import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./orders";

type Order = components["schemas"]["OrderResponse"];
type Problem = components["schemas"]["Problem"];
type Answer = { data?: Order; error?: Problem; response: Response };

const { ORDERS_URL, ORDERS_TOKEN, ORDERS_CUSTOMER } = process.env;
const client = createClient<paths>({
  baseUrl: ORDERS_URL,
  headers: { Authorization: `Bearer ${ORDERS_TOKEN}` },
});

const place = (price: number, quantity: number, key: string) =>
  client.POST("/v1/orders", {
    params: { header: { "Idempotency-Key": key } },
    body: {
      currency: "EUR",
      customer_id: ORDERS_CUSTOMER,
      lines: [{ sku: "MUG-RED", name: "Red mug", quantity, unit_price: price }],
      payment: { method: "tok_ok" },
    },
  });

const capture = (order: Order, amount?: number) =>
  client.POST("/v1/orders/{order_id}/payments/{part_id}/capture", {
    params: {
      path: { order_id: order.id, part_id: "1" },
      header: { "Idempotency-Key": randomUUID() },
    },
    body: amount === undefined ? undefined : { amount },
  });

const edit = (order: Order, etag: string) =>
  client.PATCH("/v1/orders/{order_id}", {
    params: { path: { order_id: order.id }, header: { "If-Match": etag } },
    body: { note: "Leave it with the neighbour" },
  });

function orderOf(answer: Answer): Order {
  if (!answer.data) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function problemOf(answer: Answer): Problem {
  if (!answer.error) throw new Error(JSON.stringify(answer.data));
  return answer.error;
}

function captured(order: Order): number {
  if (!order.payments) throw new Error("no payments are shown");
  return order.payments[0].captured;
}

async function main(): Promise<void> {
  const key = randomUUID();
  const order = orderOf(await place(3_000_000_000, 2, key));
  console.log("placed", order.totals?.due, order.payment_status);

  const repeated = await place(3_000_000_000, 2, key);
  const replayed = repeated.response.headers.get("Idempotency-Replayed") === "true";
  if (orderOf(repeated).id === order.id && replayed) {
    console.log("repeated: the same order, replayed");
  }

  const part = orderOf(await capture(order, 4_500_000_000));
  console.log("captured", captured(part));
  const tooMuch = problemOf(await capture(order, 4_500_000_000));
  console.log("refused", tooMuch.status, tooMuch.code);

  await place(2_500, 1, randomUUID());
  const small = orderOf(await place(2_500, 1, randomUUID()));
  const all = orderOf(await capture(small));
  console.log("captured", captured(all), "without an amount");

  const found: Order[] = [];
  let pages = 0;
  let cursor: string | null | undefined;
  do {
    const { data } = await client.GET("/v1/orders", {
      params: { query: { customer_id: ORDERS_CUSTOMER, limit: 2, cursor: cursor ?? undefined } },
    });
    found.push(...(data?.items ?? []));
    pages += 1;
    cursor = data?.next_cursor;
  } while (cursor);
  console.log("listed", found.length, "orders on", pages, "pages");

  const read = await client.GET("/v1/orders/{order_id}", {
    params: { path: { order_id: order.id } },
  });
  const etag = read.response.headers.get("ETag") ?? "";
  console.log("edited:", orderOf(await edit(order, etag)).note);
  const stale = problemOf(await edit(order, etag));
  console.log("refused", stale.status, stale.code);
}

void main();
