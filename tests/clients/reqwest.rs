//! reqwest as it comes.

use std::env;
use std::error::Error;
use std::io::{self, Cursor};

use reqwest::blocking::{Body, Client};

fn main() -> Result<(), Box<dyn Error>> {
    let token = env::var("TOKEN")?;
    let client = Client::new();
    for line in io::stdin().lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let response = client
            .post(fields[0])
            .bearer_auth(&token)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", fields[1])
            .body(body(fields[2], fields[3].to_owned()))
            .send()?;
        println!("{}\t{}", response.status().as_u16(), response.text()?);
    }
    Ok(())
}

fn body(framing: &str, content: String) -> Body {
    match framing {
        "chunked" => Body::new(Cursor::new(content)),
        _ => Body::from(content),
    }
}
