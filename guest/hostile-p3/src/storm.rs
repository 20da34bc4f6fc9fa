//! Does everything at random.

use front::{Descriptor, StreamResult};
use futures::future::FutureExt;

use crate::answers::Answers;
use crate::attacks::options;
use crate::chance::chance;
use crate::copy::{call, start};
use crate::reads::try_read;

/// Makes random calls on growing sets of calls, streams and futures. In the end drops what is left.
pub async fn run(dir: &Descriptor, rounds: usize, seed: u64) -> Answers {
    let mut chance = chance(seed);
    let mut answers = Answers::default();
    // Copies keep the options that they were started with.
    let options = options(false, false);
    let (mut calls, mut streams, mut futures) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        options.set_replace(chance(2) == 1);
        let dst = format!("dst-{}", chance(4));
        match chance(11) {
            0..2 => {
                let mut call = Box::pin(call(dir, dst, &options));
                match (&mut call).now_or_never() {
                    Some(result) => answers.count_result(result),
                    None => calls.push(call),
                }
            }
            2..4 => {
                let (progress, result) = start(dir, &dst, &options);
                streams.push(progress);
                futures.push(result);
            }
            4 => drop(take(&mut calls, &mut chance)),
            5 => {
                if let Some(call) = take(&mut calls, &mut chance) {
                    answers.count_result(call.await);
                }
            }
            6..8 => drop(take(&mut streams, &mut chance)),
            8 => {
                if let Some(mut progress) = take(&mut streams, &mut chance) {
                    let (result, _) = try_read(&mut progress, chance(3));
                    // A read of a stream that has ended traps.
                    if result != StreamResult::Dropped {
                        streams.push(progress);
                    }
                }
            }
            9 => drop(take(&mut futures, &mut chance)),
            _ => {
                if let Some(result) = take(&mut futures, &mut chance) {
                    answers.count_result(result.await);
                }
            }
        }
    }
    answers
}

/// Removes one of the items at random.
fn take<T>(items: &mut Vec<T>, chance: &mut impl FnMut(usize) -> usize) -> Option<T> {
    match items.len() {
        0 => None,
        len => Some(items.swap_remove(chance(len))),
    }
}
