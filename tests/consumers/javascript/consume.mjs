// Reads events from a broker with CloudEvents' SDK, and prints each as a line of JSON.
// Usage: node consume.mjs kafka|rabbitmq ADDRESS PLACE COUNT; the place is a topic or a queue.
import amqp from "amqplib";
import { HTTP } from "cloudevents";
import { Kafka, logLevel } from "kafkajs";

const [kind, address, place, given] = process.argv.slice(2);
const count = Number(given);
let seen = 0;

function show(contentType, body) {
  const event = HTTP.toEvent({ headers: { "content-type": contentType }, body: body.toString() });
  event.validate();
  console.log(JSON.stringify(event));
  seen += 1;
}

async function kafka() {
  const client = new Kafka({ brokers: [address], logLevel: logLevel.ERROR });
  const consumer = client.consumer({ groupId: "javascript" });
  await consumer.connect();
  await consumer.subscribe({ topic: place, fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    const eachMessage = async ({ message }) => {
      show(message.headers["content-type"].toString(), message.value);
      if (seen === count) resolve();
    };
    consumer.run({ eachMessage }).catch(reject);
  });
  await consumer.disconnect();
}

async function rabbitmq() {
  const connection = await amqp.connect(address);
  const channel = await connection.createChannel();
  await new Promise((resolve, reject) => {
    const take = (message) => {
      try {
        show(message.properties.contentType, message.content);
        channel.ack(message);
      } catch (error) {
        reject(error);
      }
      if (seen === count) resolve();
    };
    channel.consume(place, take).catch(reject);
  });
  await channel.close();
  await connection.close();
}

await { kafka, rabbitmq }[kind]();
