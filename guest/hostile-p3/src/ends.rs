//! Drops the ends of copies with progress.

use front::Descriptor;
use futures::future::FutureExt;

use crate::answers::Answers;
use crate::attacks::options;
use crate::copy::start;

/// Starts copies, and drops their streams and futures in every order.
pub async fn run(dir: &Descriptor, rounds: usize) -> Answers {
    let options = options(true, false);
    let mut answers = Answers::default();
    for round in 0..rounds {
        let (mut progress, result) = start(dir, "dst", &options);
        match round % 9 {
            0 => {
                drop(progress);
                drop(result);
            }
            1 => {
                drop(result);
                drop(progress);
            }
            2 => {
                drop(progress);
                answers.count_result(result.await);
                continue;
            }
            3 => {
                answers.count_result(result.await);
                drop(progress);
                continue;
            }
            4 => {
                drop(result);
                progress.collect().await;
            }
            5 => {
                progress.collect().await;
                drop(result);
            }
            // The others drop an end while it, or the other end, is read.
            6 => {
                let read = progress.next().now_or_never();
                drop(result);
                drop((read, progress));
            }
            7 => {
                let mut result = Box::pin(result.into_future());
                let read = (&mut result).now_or_never();
                drop(progress);
                answers.count_result(match read {
                    Some(result) => result,
                    None => result.await,
                });
                continue;
            }
            _ => {
                let mut reading = Box::pin(progress.next());
                let read = (&mut reading).now_or_never();
                drop(result);
                if read.is_none() {
                    reading.await;
                }
            }
        }
        answers.count("dropped");
    }
    answers
}
