//! Attacks a host of `sandbox:fast-copy`, in the first preopened directory.
//!
//! - `hostile handle NUMBER` copies with a handle that the guest does not own. `closed` instead of a
//!   number uses one that the guest has dropped, and `pollable` one of another resource type. The host
//!   should trap.
//! - `hostile string BYTES` passes paths of this length, as source and as destination.
//! - `hostile hoard JOBS` starts this many jobs and never drops them.
//! - `hostile crowd JOBS OPTION DST` starts this many jobs that copy `src` to DST, then waits for each and
//!   drops it. OPTION is `replace`, `no-sync` or empty. In DST `{i}` stands for the number of the job.
//! - `hostile storm ROUNDS SEED` starts, subscribes to, cancels, drops and waits for jobs at random. They
//!   copy `src` to `dst-0` to `dst-3`.
//! - `hostile spam ROUNDS SRC` copies SRC this many times to the name `spam`.
//! - `hostile options COUNT` creates this many resources of options and never drops them. The host should
//!   trap at more than it allows.
//! - `hostile churn COUNT` creates this many resources of options, and drops each before the next.
//!
//! Prints a line for each result that calls had: `ok`, `started`, `created` or the name of an error code, and
//! the number of calls with this result.

mod answers;
mod attacks;
mod chance;
mod jobs;

use front::get_directories;
use wasip2::clocks::monotonic_clock::subscribe_duration;

const USAGE: &str = "usage: hostile handle (NUMBER|closed|pollable) | string BYTES | \
    hoard JOBS | crowd JOBS OPTION DST | storm ROUNDS SEED | spam ROUNDS SRC | options COUNT | \
    churn COUNT";

fn main() {
    front::block_on(run());
}

async fn run() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let dir = get_directories().remove(0).0;
    let answers = match args.as_slice() {
        ["handle", "closed"] => {
            let handle = attacks::closed_handle(&dir).await;
            attacks::forge(&dir, handle).await
        }
        ["handle", "pollable"] => attacks::forge(&dir, subscribe_duration(0).handle()).await,
        ["handle", handle] => attacks::forge(&dir, handle.parse().unwrap()).await,
        ["string", bytes] => attacks::string(&dir, bytes.parse().unwrap()).await,
        ["hoard", jobs] => jobs::hoard(&dir, jobs.parse().unwrap()),
        ["crowd", jobs, option, dst] => {
            attacks::crowd(&dir, jobs.parse().unwrap(), option, dst).await
        }
        ["storm", rounds, seed] => {
            jobs::storm(&dir, rounds.parse().unwrap(), seed.parse().unwrap())
        }
        ["spam", rounds, src] => attacks::spam(&dir, rounds.parse().unwrap(), src).await,
        ["options", count] => attacks::create_options(count.parse().unwrap()),
        ["churn", count] => attacks::churn(count.parse().unwrap()),
        _ => panic!("{USAGE}"),
    };
    answers.print();
}
