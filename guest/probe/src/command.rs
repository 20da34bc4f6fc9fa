//! Does what the arguments say, and prints the results.

use std::time::Instant;

use crate::call::Call;
use crate::copy::Copy;
use crate::{many, sdk};

pub async fn run(args: &[&str]) {
    match args {
        ["sdk", function, src, dst, options] => {
            println!("{}", sdk::line(function, src, dst, options).await);
        }
        ["many", copy @ .., copies, in_flight] => {
            let copies = copies.parse().expect("COPIES must be a number");
            let in_flight = in_flight.parse().expect("IN_FLIGHT must be a number");
            many::run(&Copy::parse(copy).await, copies, in_flight).await;
        }
        _ => repeat(args).await,
    }
}

/// Makes one call, or REPEAT calls.
async fn repeat(args: &[&str]) {
    let (call, repeat) = Call::parse(args).await;
    let calls: usize = repeat.map_or(1, |n| n.parse().expect("REPEAT must be a number"));

    let mut times = Vec::with_capacity(calls);
    for i in 0..calls {
        let paths = call.paths(i);
        let start = Instant::now();
        let outcome = call.make(paths).await;
        times.push(start.elapsed().as_nanos().to_string());
        match outcome.line() {
            Ok(line) if i == 0 => println!("{line}"),
            Ok(_) => {}
            Err(line) => {
                println!("{line}");
                return;
            }
        }
    }
    if repeat.is_some() {
        println!("{}", times.join(" "));
    }
}
