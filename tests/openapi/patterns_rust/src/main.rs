// Compiles the patterns that standard input has, separated by NUL.
use std::io::Read;

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("UTF-8");
    for pattern in text.split('\0') {
        regex::Regex::new(pattern).expect(pattern);
    }
    println!("compiled");
}
