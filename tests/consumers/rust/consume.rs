//! Reads events from a broker with CloudEvents' SDK, and prints each as a line of JSON.
//! Usage: consume kafka|rabbitmq ADDRESS PLACE COUNT; the place is a topic or a queue.
use std::error::Error;

use cloudevents::{AttributesReader, Data, Event};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::UnknownTopicHandling;
use serde_json::{Map, Value};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address, place, count] = given.as_slice() else {
        return Err("give kafka or rabbitmq, an address, a place and a count".into());
    };
    match kind.as_str() {
        "kafka" => kafka(address, place, count.parse()?).await,
        _ => rabbitmq(address, place, count.parse()?).await,
    }
}

async fn kafka(address: &str, topic: &str, mut count: usize) -> Outcome {
    let client = ClientBuilder::new(vec![address.to_owned()]).build().await?;
    let topics = client.list_topics().await?;
    let found = topics.into_iter().find(|each| each.name == topic).ok_or("no such topic")?;
    let mut partitions = Vec::new();
    for number in found.partitions {
        let partition = client.partition_client(topic, number, UnknownTopicHandling::Error).await?;
        partitions.push((partition, 0));
    }
    while count > 0 {
        for (partition, offset) in &mut partitions {
            let (records, _) = partition.fetch_records(*offset, 1..1_000_000, 100).await?;
            for each in records {
                show(&each.record.value.ok_or("a message without a value")?)?;
                *offset = each.offset + 1;
                count -= 1;
            }
        }
    }
    Ok(())
}

async fn rabbitmq(address: &str, queue: &str, count: usize) -> Outcome {
    let connection = Connection::connect(address, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    let mut deliveries = consumer.take(count);
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        show(&delivery.data)?;
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

fn show(message: &[u8]) -> Outcome {
    let event: Event = serde_json::from_slice(message)?;
    let mut line: Map<String, Value> =
        event.iter().map(|(name, value)| (name.to_owned(), value.to_string().into())).collect();
    let Some(Data::Json(data)) = event.data() else {
        return Err(format!("the data of {} is not JSON", event.id()).into());
    };
    line.insert("data".into(), data.clone());
    println!("{}", Value::Object(line));
    Ok(())
}
