//! Keeps streams and futures, and never drops them.

use std::mem;
use std::pin::pin;

use fast_copy::p3::bindings::inspect;
use front::Descriptor;
use futures::future::FutureExt;

use crate::answers::Answers;
use crate::attacks::options;
use crate::copy::start;

/// Starts copies with progress, and leaks the streams and futures of those that do not end at once.
pub fn hoard(dir: &Descriptor, copies: usize) -> Answers {
    let options = options(false, false);
    let mut answers = Answers::default();
    for i in 0..copies {
        let (progress, result) = start(dir, &format!("dst-{i}"), &options);
        let mut read = pin!(result.into_future());
        let read = match read.as_mut().now_or_never() {
            Some(result) => Ok(result),
            None => read.cancel(),
        };
        match read {
            Ok(result) => answers.count_result(result),
            Err(result) => {
                mem::forget((progress, result));
                answers.count("started");
            }
        }
    }
    answers
}

/// Reads one range of each of many streams, and leaks the streams.
pub async fn ranges(dir: &Descriptor, streams: usize) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..streams {
        let (mut ranges, end) = inspect::data_ranges(dir, "src", 0);
        match ranges.next().await {
            Some(_) => {
                mem::forget((ranges, end));
                answers.count("started");
            }
            None => match end.await {
                Ok(()) => answers.count("ok"),
                Err(code) => answers.count_code(&code),
            },
        }
    }
    answers
}
