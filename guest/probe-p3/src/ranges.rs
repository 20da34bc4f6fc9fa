//! Drops an end of `data-ranges` early.

use fast_copy::p3::bindings::inspect;

use crate::operands::{descriptor, unescape};
use crate::outcome::Outcome;

/// Reads one range, drops the stream, and reads the future.
pub async fn drop_stream(dir: &str, path: &str) {
    let dir = descriptor(dir).await;
    let (mut ranges, end) = inspect::data_ranges(&dir, &unescape(path, 0), 0);
    ranges.next().await;
    drop(ranges);
    match end.await {
        Ok(()) => println!("ok"),
        Err(code) => println!("err {code:?}"),
    }
}

/// Drops the future, and reads the stream to its end.
pub async fn drop_future(dir: &str, path: &str) {
    let dir = descriptor(dir).await;
    let (ranges, end) = inspect::data_ranges(&dir, &unescape(path, 0), 0);
    drop(end);
    let ranges = ranges.collect().await;
    if let Ok(line) = Outcome::DataRanges(Ok(ranges)).line() {
        println!("{line}");
    }
}
