//! Attacks a host of `sandbox:fast-copy` on WASI 0.3, in the first preopened directory.
//!
//! - `hostile-p3 handle NUMBER` copies with a handle that the guest does not own. `closed` instead of a
//!   number uses one that the guest has dropped, `pollable` one of another resource type (of WASI 0.2), and
//!   `stream` that of a stream. The host should trap.
//! - `hostile-p3 string BYTES` passes paths of this length, as source and as destination.
//! - `hostile-p3 hoard COPIES` starts this many copies with progress, and never drops the streams and futures
//!   of those that run or wait.
//! - `hostile-p3 ranges STREAMS` reads one range of each of this many streams of `data-ranges` of `src`, and
//!   never drops them.
//! - `hostile-p3 crowd CALLS OPTION DST` makes this many calls at once that copy `src` to DST, and waits for
//!   each. OPTION is `replace`, `no-sync` or empty. In DST `{i}` stands for the number of the call.
//! - `hostile-p3 cancel CALLS` makes this many calls at once that copy `src` to `dst-{i}`, and cancels all of
//!   them. Then it makes another copy, and tries again while the host is busy.
//! - `hostile-p3 exit CALLS` makes this many calls at once that copy `src` to `dst-{i}`, starts as many copies
//!   with progress to `copy-{i}`, and exits meanwhile.
//! - `hostile-p3 ends ROUNDS` starts copies with progress, and drops their streams and futures in every order.
//!   They copy `src` to `dst`.
//! - `hostile-p3 reads COPIES` makes copies with progress, and reads their streams in all ways: nothing, one
//!   value, many, and with reads that it cancels. They copy `src` to `dst`.
//! - `hostile-p3 storm ROUNDS SEED` makes and cancels calls, starts copies with progress, and reads and drops
//!   their streams and futures at random. They copy `src` to `dst-0` to `dst-3`.
//! - `hostile-p3 spam ROUNDS SRC` copies SRC this many times to the name `spam`.
//! - `hostile-p3 options COUNT` creates this many resources of options and never drops them. The host should
//!   trap at more than it allows.
//! - `hostile-p3 churn COUNT` creates this many resources of options, and drops each before the next.
//!
//! Prints a line for each result that calls had: `ok`, `started`, `created`, `dropped` or the name of an error
//! code, and the number of calls with this result.

#[path = "../../hostile/src/answers.rs"]
mod answers;
#[path = "../../hostile/src/attacks.rs"]
mod attacks;
mod calls;
#[path = "../../hostile/src/chance.rs"]
mod chance;
mod copy;
mod ends;
mod hoard;
mod reads;
mod storm;

use front::get_directories;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip3::wit_stream;

const USAGE: &str = "usage: hostile-p3 handle (NUMBER|closed|pollable|stream) | string BYTES | \
    hoard COPIES | ranges STREAMS | crowd CALLS OPTION DST | cancel CALLS | exit CALLS | \
    ends ROUNDS | reads COPIES | storm ROUNDS SEED | spam ROUNDS SRC | options COUNT | churn COUNT";

struct Hostile;

impl wasip3::exports::cli::run::Guest for Hostile {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let dir = get_directories().remove(0).0;
        let answers = match args.as_slice() {
            ["handle", "closed"] => {
                let handle = attacks::closed_handle(&dir).await;
                attacks::forge(&dir, handle).await
            }
            ["handle", "pollable"] => attacks::forge(&dir, subscribe_duration(0).handle()).await,
            ["handle", "stream"] => {
                let (_writer, reader) = wit_stream::new::<u8>();
                attacks::forge(&dir, reader.handle()).await
            }
            ["handle", handle] => attacks::forge(&dir, handle.parse().unwrap()).await,
            ["string", bytes] => attacks::string(&dir, bytes.parse().unwrap()).await,
            ["hoard", copies] => hoard::hoard(&dir, copies.parse().unwrap()),
            ["ranges", streams] => hoard::ranges(&dir, streams.parse().unwrap()).await,
            ["crowd", calls, option, dst] => {
                attacks::crowd(&dir, calls.parse().unwrap(), option, dst).await
            }
            ["cancel", calls] => calls::cancel(&dir, calls.parse().unwrap()).await,
            ["exit", calls] => calls::exit(&dir, calls.parse().unwrap()),
            ["ends", rounds] => ends::run(&dir, rounds.parse().unwrap()).await,
            ["reads", copies] => reads::run(&dir, copies.parse().unwrap()).await,
            ["storm", rounds, seed] => {
                storm::run(&dir, rounds.parse().unwrap(), seed.parse().unwrap()).await
            }
            ["spam", rounds, src] => attacks::spam(&dir, rounds.parse().unwrap(), src).await,
            ["options", count] => attacks::create_options(count.parse().unwrap()),
            ["churn", count] => attacks::churn(count.parse().unwrap()),
            _ => panic!("{USAGE}"),
        };
        answers.print();
        Ok(())
    }
}

wasip3::cli::command::export!(Hostile);
