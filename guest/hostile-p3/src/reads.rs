//! Reads the streams of copies in all ways.

use std::pin::pin;

use front::{Descriptor, StreamReader, StreamResult};
use futures::future::FutureExt;

use crate::answers::Answers;
use crate::attacks::options;
use crate::copy::start;

/// How many values a read has room for, in turn.
const ROOM: [usize; 5] = [0, 1, 0, 0, 1000];

/// Makes copies, reads their streams to the end, and then their futures.
pub async fn run(dir: &Descriptor, copies: usize) -> Answers {
    let options = options(true, false);
    let mut answers = Answers::default();
    for _ in 0..copies {
        let (mut progress, result) = start(dir, "dst", &options);
        for room in ROOM.into_iter().cycle() {
            if ended(try_read(&mut progress, room), room)
                || ended(progress.read(Vec::with_capacity(room)).await, room)
            {
                break;
            }
        }
        answers.count_result(result.await);
    }
    answers
}

/// Reads a stream, and cancels the read if it does not end at once.
pub fn try_read<T>(stream: &mut StreamReader<T>, room: usize) -> (StreamResult, Vec<T>) {
    let mut read = pin!(stream.read(Vec::with_capacity(room)));
    match read.as_mut().now_or_never() {
        Some(end) => end,
        None => read.cancel(),
    }
}

/// Checks what a read has returned. Returns whether the stream has ended: then a further read traps.
fn ended<T>((result, values): (StreamResult, Vec<T>), room: usize) -> bool {
    match result {
        StreamResult::Complete(count) => {
            assert_eq!(count, values.len(), "the stream has lost values");
            assert!(count <= room, "the host has written beyond the buffer");
        }
        StreamResult::Dropped | StreamResult::Cancelled => {
            assert!(values.is_empty(), "a read that has no result has values");
        }
    }
    result == StreamResult::Dropped
}
