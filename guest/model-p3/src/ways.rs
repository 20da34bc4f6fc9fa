//! The ways to make a copy with progress, and to cancel it, on WASI 0.3.

use std::pin::pin;

use front::{CopyOptions, Descriptor, Function};
use futures::future::{Either, select};
use wasip3::clocks::monotonic_clock::wait_for;

use crate::copies::End;

/// Waits for so many nanoseconds. The host notices meanwhile what the guest has cancelled.
pub async fn wait(nanos: u64) {
    wait_for(nanos).await;
}

/// Reads the progress to its end, then the result.
pub async fn progress(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
) -> End {
    let (mut progress, result) = front::start(function, dir, src, dir, dst, options);
    let mut last = 0;
    while let Some(next) = progress.next().await {
        assert!(
            last <= next.copied,
            "the progress went back from {last} to {next:?}"
        );
        last = next.copied;
    }
    Some(result.await)
}

/// Drops the call after so many microseconds.
pub async fn cancel(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
    after: u64,
) -> End {
    let call = pin!(front::copy(
        function,
        dir,
        src.to_owned(),
        dir,
        dst.to_owned(),
        options
    ));
    match select(call, pin!(wait_for(after * 1000))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Drops the future of the result after so many microseconds. The stream ends when the copy has.
pub async fn drop(
    function: Function,
    dir: &Descriptor,
    src: &str,
    dst: &str,
    options: Option<&CopyOptions>,
    after: u64,
) -> End {
    let (progress, result) = front::start(function, dir, src, dir, dst, options);
    wait_for(after * 1000).await;
    std::mem::drop(result);
    progress.collect().await;
    None
}
