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
//! - `probe-p3 cancel-when FILE HOW FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS` makes a copy, and
//!   cancels it when FILE appears in DST_DIR. With the HOW `call` it drops the call. With `future` it makes a
//!   copy with progress, drops its future, and reads its stream to the end. Then it goes on until FILE has gone.
//! - `probe-p3 ranges-drop DIR PATH` reads one range of `data-ranges`, drops the stream, and reads the future.
//! - `probe-p3 ranges-future-drop DIR PATH` drops the future of `data-ranges`, and reads the stream to its end.
//! - `probe-p3 ranges-in-parts COUNT DIR PATH` reads COUNT ranges of `data-ranges` at a time. Before each of
//!   these reads it makes one without room for a range.
//! - `probe-p3 ranges-cancel FILE DIR PATH` begins to read `data-ranges`, and cancels the read if it does not
//!   end at once. When FILE appears in DIR, it reads the stream to its end.
//!
//! `data-ranges` reads the whole stream, then the future. `many` makes calls of `fast-copy` or `sparse-copy` at
//! once.
//!
//! `progress` prints `progress COPIED TOTAL` for each value of the stream, with `-` for a TOTAL that is not
//! known, and the line of the copy. It prints them in the order in which it reads them. For `drop-future` it
//! prints `ended` instead of the line of the copy. `hoard` prints the lines of the two further copies, and
//! between them the number of kept copies for each result, if it has kept their futures. `cancel` prints the
//! number of copies for each result, such as `3 ok, 61 cancelled`. `cancel-when` prints `cancelled`, or the
//! line of the copy if it has ended before. `ranges-drop` prints `OFFSET+LENGTH`, if there is a range, and then
//! `ok` or `err CODE`. The other commands for ranges print what `data-ranges` does.

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
mod signal;

use crate::copy::Copy;

struct Probe;

impl wasip3::exports::cli::run::Guest for Probe {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match &args[..] {
            ["progress", mode, copy @ ..] => progress::run(mode, &Copy::parse(copy).await).await,
            ["hoard", kept, copies, copy @ ..] => {
                let copies = copies.parse().expect("COPIES must be a number");
                hoard::run(kept, &Copy::parse(copy).await, copies).await;
            }
            ["cancel", copy @ .., nanos, copies] => {
                let nanos = nanos.parse().expect("NANOS must be a number");
                let copies = copies.parse().expect("COPIES must be a number");
                cancel::run(&Copy::parse(copy).await, nanos, copies).await;
            }
            ["cancel-when", file, how, copy @ ..] => {
                cancel::when_signalled(how, file, &Copy::parse(copy).await).await;
            }
            ["ranges-drop", dir, path] => ranges::drop_stream(dir, path).await,
            ["ranges-future-drop", dir, path] => ranges::drop_future(dir, path).await,
            ["ranges-in-parts", count, dir, path] => {
                let count = count.parse().expect("COUNT must be a number");
                ranges::in_parts(count, dir, path).await;
            }
            ["ranges-cancel", file, dir, path] => ranges::cancel_read(dir, path, file).await,
            _ => command::run(&args).await,
        }
        Ok(())
    }
}

wasip3::cli::command::export!(Probe);
