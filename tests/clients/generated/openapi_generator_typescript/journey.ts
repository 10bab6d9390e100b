// The main journey, over the client that openapi-generator generates for TypeScript.

import { randomUUID } from "node:crypto";
import {
  CommandsApi,
  Configuration,
  OrdersApi,
  ProblemFromJSON,
  ResponseError,
  type OrderResponse,
  type Problem,
} from "./client";

const customerId = process.env.ORDERS_CUSTOMER;
const configuration = new Configuration({
  basePath: process.env.ORDERS_URL,
  accessToken: process.env.ORDERS_TOKEN,
});
const orders = new OrdersApi(configuration);
const commands = new CommandsApi(configuration);

const place = (price: number, quantity: number, key: string) =>
  orders.placeRaw({
    idempotencyKey: key,
    placeOrderBody: {
      currency: "EUR",
      customerId,
      lines: [{ sku: "MUG-RED", name: "Red mug", quantity, unitPrice: price }],
      payment: { method: "tok_ok" },
    },
  });

const capture = (order: OrderResponse, amount?: number) =>
  commands.capture({
    orderId: order.id,
    partId: "1",
    idempotencyKey: randomUUID(),
    amountBody: { amount },
  });

const edit = (order: OrderResponse, etag: string) =>
  orders.edit({
    orderId: order.id,
    ifMatch: etag,
    editOrderBody: { note: "Leave it with the neighbour" },
  });

async function refused(call: Promise<unknown>): Promise<Problem> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ResponseError) return ProblemFromJSON(await error.response.json());
    throw error;
  }
  throw new Error("not refused");
}

function captured(order: OrderResponse): number {
  if (!order.payments) throw new Error("no payments are shown");
  return order.payments[0].captured;
}

async function main(): Promise<void> {
  const key = randomUUID();
  const order = await (await place(3_000_000_000, 2, key)).value();
  console.log("placed", order.totals?.due, order.paymentStatus);

  const repeated = await place(3_000_000_000, 2, key);
  const replayed = repeated.raw.headers.get("Idempotency-Replayed") === "true";
  if ((await repeated.value()).id === order.id && replayed) {
    console.log("repeated: the same order, replayed");
  }

  const part = await capture(order, 4_500_000_000);
  console.log("captured", captured(part));
  const tooMuch = await refused(capture(order, 4_500_000_000));
  console.log("refused", tooMuch.status, tooMuch.code);

  await place(2_500, 1, randomUUID());
  const small = await (await place(2_500, 1, randomUUID())).value();
  const all = await capture(small);
  console.log("captured", captured(all), "without an amount");

  const found: OrderResponse[] = [];
  let pages = 0;
  let cursor: string | null | undefined;
  do {
    const page = await orders.list({ customerId, limit: 2, cursor: cursor ?? undefined });
    found.push(...page.items);
    pages += 1;
    cursor = page.nextCursor;
  } while (cursor);
  console.log("listed", found.length, "orders on", pages, "pages");

  const read = await orders.readRaw({ orderId: order.id });
  const etag = read.raw.headers.get("ETag") ?? "";
  console.log("edited:", (await edit(order, etag)).note);
  const stale = await refused(edit(order, etag));
  console.log("refused", stale.status, stale.code);
}

void main();
