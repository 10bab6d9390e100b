//! The main journey, over the client that progenitor generates.

use std::env;
use std::fmt::Debug;

use progenitor_client::{Error, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use uuid::Uuid;

use orders::types::{AmountBody, EditOrderBody, InitialPaymentBody, LineBody, OrderResponse};
use orders::types::{PlaceOrderBody, Problem};

mod orders {
    progenitor::generate_api!(spec = "openapi-3.0.json", interface = Builder);
}

type Answer = Result<ResponseValue<OrderResponse>, Error<Problem>>;

struct Shop {
    client: orders::Client,
    customer: String,
}

impl Shop {
    async fn place(&self, price: i64, quantity: i64, key: &str) -> Answer {
        let line = LineBody::builder().sku("MUG-RED").name("Red mug").quantity(quantity).unit_price(price);
        let payment = InitialPaymentBody::builder().method("tok_ok");
        let body = PlaceOrderBody::builder()
            .currency("EUR")
            .customer_id(self.customer.clone())
            .lines(vec![line.try_into().unwrap()])
            .payment(InitialPaymentBody::try_from(payment).unwrap());
        self.client.place().idempotency_key(key).body(body).send().await
    }
}

fn new_key() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::main]
async fn main() {
}
