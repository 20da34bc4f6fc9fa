//! Reads `data-ranges` in parts, and drops its ends early.

use std::pin::pin;

use fast_copy::p3::bindings::inspect;
use front::{DataRange, Descriptor, ErrorCode, FutureReader, StreamReader, StreamResult};
use futures::future::FutureExt;

use crate::operands::{descriptor, unescape};
use crate::outcome::Outcome;
use crate::signal::wait_until_present;

type Ranges = StreamReader<DataRange>;
type End = FutureReader<Result<(), ErrorCode>>;

/// Reads one range, drops the stream, and reads the future.
pub async fn drop_stream(dir: &str, path: &str) {
    let (mut ranges, end) = start(&descriptor(dir).await, path);
    if let Some(DataRange { offset, length }) = ranges.next().await {
        println!("{offset}+{length}");
    }
    drop(ranges);
    match end.await {
        Ok(()) => println!("ok"),
        Err(code) => println!("err {code:?}"),
    }
}

/// Drops the future, and reads the stream to its end.
pub async fn drop_future(dir: &str, path: &str) {
    let (ranges, end) = start(&descriptor(dir).await, path);
    drop(end);
    print(Ok(ranges.collect().await));
}

/// Reads `count` ranges at a time, and none before each of these reads.
pub async fn in_parts(count: usize, dir: &str, path: &str) {
    let (mut ranges, end) = start(&descriptor(dir).await, path);
    let mut found = Vec::new();
    'parts: loop {
        for room in [0, count] {
            let (result, part) = ranges.read(Vec::with_capacity(room)).await;
            assert!(part.len() <= room, "the host has written beyond the buffer");
            found.extend(part);
            // A read of a stream that has ended traps.
            if result == StreamResult::Dropped {
                break 'parts;
            }
        }
    }
    print(end.await.map(|()| found));
}

/// Cancels the first read if it does not end at once. Reads the stream to its end when a file appears.
pub async fn cancel_read(dir: &str, path: &str, file: &str) {
    let dir = descriptor(dir).await;
    let (mut ranges, end) = start(&dir, path);
    let mut found = {
        let mut read = pin!(ranges.read(Vec::with_capacity(1)));
        let (_, found) = match read.as_mut().now_or_never() {
            Some(end) => end,
            None => read.cancel(),
        };
        found
    };
    wait_until_present(&dir, file).await;
    found.extend(ranges.collect().await);
    print(end.await.map(|()| found));
}

fn start(dir: &Descriptor, path: &str) -> (Ranges, End) {
    inspect::data_ranges(dir, &unescape(path, 0), 0)
}

fn print(result: Result<Vec<DataRange>, ErrorCode>) {
    let (Ok(line) | Err(line)) = Outcome::DataRanges(result).line();
    println!("{line}");
}
