//! Makes raw calls of `sandbox:fast-copy` on WASI 0.3. It has the commands and the output of `probe`, and
//!
//! - `probe-p3 progress MODE FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS` makes a copy with progress.
//!   MODE says what it does with the stream and the future:
//!   - `read`: reads the stream to its end, then the future.
//!   - `late`: reads the future, then the stream to its end.
//!   - `unread`: reads the future, and keeps the stream meanwhile.
//!   - `drop-stream`: drops the stream at once, and reads the future.
//!   - `drop-future`: drops the future at once, and reads the stream to its end.
//! - `probe-p3 hoard KEPT COPIES FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS` starts COPIES copies with
//!   progress, and keeps of each what KEPT says: its `stream`, its `future`, `both` or `neither`. It drops the
//!   rest at once. Then it makes another copy with progress. Then it reads to its end what it has kept, drops
//!   it, and makes one more copy with progress.
//! - `probe-p3 cancel FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS NANOS COPIES` makes COPIES copies, one
//!   after another, and cancels each if it has not ended in time: the first at once, the next ones after equal
//!   steps up to NANOS nanoseconds.
//! - `probe-p3 ranges-drop DIR PATH` reads one range of `data-ranges`, drops the stream, and reads the future.
//! - `probe-p3 ranges-future-drop DIR PATH` drops the future of `data-ranges`, and reads the stream to its end.
//!
//! `data-ranges` reads the whole stream, then the future. `many` makes calls of `fast-copy` or `sparse-copy` at
//! once.
//!
//! `progress` prints `progress COPIED TOTAL` for each value of the stream, with `-` for a TOTAL that is not
//! known, and the line of the copy. It prints them in the order in which it reads them. For `drop-future` it
//! prints `ended` instead of the line of the copy. `hoard` prints the lines of the two further copies, and
//! between them the number of kept copies for each result, if it has kept their futures. `cancel` prints the
//! number of copies for each result, such as `3 ok, 61 cancelled`. `ranges-drop` prints `OFFSET+LENGTH`, if
//! there is a range, and then `ok` or `err CODE`. `ranges-future-drop` prints what `data-ranges` does.

#[path = "../../probe/src/call.rs"]
mod call;
mod cancel;
#[path = "../../probe/src/command.rs"]
mod command;
#[path = "../../probe/src/copy.rs"]
mod copy;
#[path = "../../probe/src/counts.rs"]
mod counts;
mod hoard;
#[path = "../../probe/src/many.rs"]
mod many;
#[path = "../../probe/src/operands.rs"]
mod operands;
#[path = "../../probe/src/options.rs"]
mod options;
#[path = "../../probe/src/outcome.rs"]
mod outcome;
mod progress;
mod ranges;
#[path = "../../probe/src/sdk.rs"]
mod sdk;

use crate::copy::Copy;

struct Probe;

impl wasip3::exports::cli::run::Guest for Probe {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match &args[..] {
            ["progress", mode, copy @ ..] => progress::run(mode, &Copy::parse(copy).await).await,
            ["hoard", copies, copy @ ..] => {
                let copies = copies.parse().expect("COPIES must be a number");
                hoard::hoard(&Copy::parse(copy).await, copies).await;
            }
            ["hold", kept, copies, copy @ ..] => {
                let copies = copies.parse().expect("COPIES must be a number");
                hoard::hold(kept, &Copy::parse(copy).await, copies).await;
            }
            ["cancel", copy @ .., nanos, copies] => {
                let nanos = nanos.parse().expect("NANOS must be a number");
                let copies = copies.parse().expect("COPIES must be a number");
                cancel::run(&Copy::parse(copy).await, nanos, copies).await;
            }
            ["ranges-drop", dir, path] => ranges::drop_stream(dir, path).await,
            ["ranges-future-drop", dir, path] => ranges::drop_future(dir, path).await,
            _ => command::run(&args).await,
        }
        Ok(())
    }
}

wasip3::cli::command::export!(Probe);
