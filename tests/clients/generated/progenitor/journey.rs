//! The main journey, over the client that progenitor generates.

use std::env;

use futures_util::TryStreamExt;
use progenitor_client::{ByteStream, Error, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use uuid::Uuid;

use orders::types::{
    AmountBody, EditOrderBody, InitialPaymentBody, LineBody, OrderResponse, PlaceOrderBody, Problem,
};

mod orders {
    progenitor::generate_api!(spec = "openapi-3.0.json", interface = Builder);
}

type Answer = Result<ResponseValue<OrderResponse>, Error<ByteStream>>;

struct Shop {
    client: orders::Client,
    customer: String,
}

impl Shop {
    fn new() -> Shop {
        let token = format!("Bearer {}", env::var("ORDERS_TOKEN").unwrap());
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&token).unwrap())]);
        let http = reqwest::Client::builder().default_headers(headers).build().unwrap();
        let client = orders::Client::new_with_client(&env::var("ORDERS_URL").unwrap(), http);
        Shop { client, customer: env::var("ORDERS_CUSTOMER").unwrap() }
    }

    async fn place(&self, price: i64, quantity: u64, key: &str) -> Answer {
        let line = LineBody::builder().sku("MUG-RED").name("Red mug").quantity(quantity).unit_price(price);
        let payment = InitialPaymentBody::builder().method("tok_ok");
        let body = PlaceOrderBody::builder()
            .currency("EUR")
            .customer_id(Some(self.customer.parse().unwrap()))
            .lines(vec![line.try_into().unwrap()])
            .payment(Some(payment.try_into().unwrap()));
        self.client.place().idempotency_key(key).body(body).send().await
    }

    async fn capture(&self, order: &OrderResponse, amount: Option<u64>) -> Answer {
        let part = AmountBody { amount: amount.map(|each| each.try_into().unwrap()) };
        let call = self.client.capture().order_id(order.id).part_id("1").idempotency_key(new_key());
        call.body(part).send().await
    }

    async fn edit(&self, order: &OrderResponse, etag: &str) -> Answer {
        let note = EditOrderBody::builder().note(Some("Leave it with the neighbour".parse().unwrap()));
        self.client.edit().order_id(order.id).if_match(etag).body(note).send().await
    }
}

fn new_key() -> String {
    Uuid::new_v4().to_string()
}

async fn refused(answer: Answer) -> Problem {
    let Err(Error::ErrorResponse(problem)) = answer else { panic!("not refused: {answer:?}") };
    let chunks = problem.into_inner_stream().map_ok(|chunk| chunk.to_vec());
    serde_json::from_slice(&chunks.try_concat().await.unwrap()).unwrap()
}

#[tokio::main]
async fn main() {
    let shop = Shop::new();
    let key = new_key();
    let order = shop.place(3_000_000_000, 2, &key).await.unwrap().into_inner();
    println!("placed {} {}", order.totals.as_ref().unwrap().due, order.payment_status);

    let repeated = shop.place(3_000_000_000, 2, &key).await.unwrap();
    if repeated.id == order.id && repeated.headers()["idempotency-replayed"] == "true" {
        println!("repeated: the same order, replayed");
    }

    let captured = shop.capture(&order, Some(4_500_000_000)).await.unwrap();
    println!("captured {}", captured.payments[0].captured);
    let too_much = refused(shop.capture(&order, Some(4_500_000_000)).await).await;
    println!("refused {} {}", too_much.status, too_much.code);

    shop.place(2_500, 1, &new_key()).await.unwrap();
    let small = shop.place(2_500, 1, &new_key()).await.unwrap();
    let all = shop.capture(&small, None).await.unwrap();
    println!("captured {} without an amount", all.payments[0].captured);

    let (mut found, mut pages) = (0, 0);
    let mut cursor = None;
    loop {
        let mut query = shop.client.list().customer_id(&shop.customer).limit(2);
        if let Some(cursor) = cursor {
            query = query.cursor(cursor);
        }
        let page = query.send().await.unwrap().into_inner();
        found += page.items.len();
        pages += 1;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    println!("listed {found} orders on {pages} pages");

    let read = shop.client.read().order_id(order.id).send().await.unwrap();
    let etag = read.headers()["etag"].to_str().unwrap();
    let edited = shop.edit(&order, etag).await.unwrap();
    println!("edited: {}", edited.note.as_deref().unwrap());
    let stale = refused(shop.edit(&order, etag).await).await;
    println!("refused {} {}", stale.status, stale.code);
}
