//! Makes calls at once, and does not wait for them.

use front::{CopyError, CopyOptions, CopyReport, Descriptor, ErrorCode};
use futures::future::FutureExt;
use wasip3::clocks::monotonic_clock::wait_for;

use crate::answers::Answers;
use crate::attacks::options;
use crate::copy::{call, start};

/// The time between two attempts, in nanoseconds.
const MOMENT: u64 = 1_000_000;

/// Makes calls, and cancels those that do not end at once. Then makes another copy.
///
/// The host may take a moment until the cancelled calls have left its queue.
pub async fn cancel(dir: &Descriptor, count: usize) -> Answers {
    let options = options(false, false);
    let (mut answers, started) = calls(dir, count, &options);
    // Dropping a call cancels it.
    drop(started);
    loop {
        match call(dir, "dst".to_owned(), &options).await {
            Err(error) if matches!(error.code, ErrorCode::Busy) => wait_for(MOMENT).await,
            result => {
                answers.count_result(result);
                return answers;
            }
        }
    }
}

/// Makes calls, and starts copies with progress. Exits while they run.
pub fn exit(dir: &Descriptor, count: usize) -> ! {
    let options = options(false, false);
    let (answers, _calls) = calls(dir, count, &options);
    let _copies: Vec<_> = (0..count)
        .map(|i| start(dir, &format!("copy-{i}"), &options))
        .collect();
    answers.print();
    wasip3::cli::exit::exit(Ok(()));
    unreachable!("exit has returned");
}

/// Makes calls. Returns the answers of those that end at once, and the others.
fn calls<'a>(
    dir: &'a Descriptor,
    count: usize,
    options: &'a CopyOptions,
) -> (
    Answers,
    Vec<impl Future<Output = Result<CopyReport, CopyError>>>,
) {
    let mut answers = Answers::default();
    let mut started = Vec::new();
    for i in 0..count {
        let mut call = Box::pin(call(dir, format!("dst-{i}"), options));
        match (&mut call).now_or_never() {
            Some(result) => answers.count_result(result),
            None => {
                answers.count("started");
                started.push(call);
            }
        }
    }
    (answers, started)
}
