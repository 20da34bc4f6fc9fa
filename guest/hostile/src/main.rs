//! Attacks a host of `sandbox:fast-copy`, in the first preopened directory.
//!
//! - `hostile handle NUMBER` copies with a handle that the guest does not own. `closed` instead of a
//!   number uses one that the guest has dropped, and `pollable` one of another resource type. The host
//!   should trap.
//! - `hostile string BYTES` passes paths of this length, as source and as destination.
//! - `hostile hoard JOBS` starts this many jobs and neither finishes nor drops them.
//! - `hostile crowd JOBS FLAGS DST` starts this many jobs that copy `src` to DST, then finishes them. FLAGS
//!   is `replace`, `no-sync` or empty. In DST `{i}` stands for the number of the job.
//! - `hostile storm ROUNDS SEED` starts, subscribes to, cancels, drops and finishes jobs at random. They
//!   copy `src` to `dst-0` to `dst-3`.
//! - `hostile spam ROUNDS SRC` copies SRC this many times to the name `spam`.
//!
//! Prints a line for each result that calls had: `ok`, `started` or the name of an error code, and the
//! number of calls with this result.

use std::collections::BTreeMap;
use std::mem;

use fast_copy::copy::{self, CopyError};
use fast_copy::jobs::{self, CopyJob};
use fast_copy::{CopyFlags, CopyReport, Descriptor};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::poll::Pollable;

const USAGE: &str = "usage: hostile handle (NUMBER|closed|pollable) | string BYTES | hoard JOBS | \
    crowd JOBS FLAGS DST | storm ROUNDS SEED | spam ROUNDS SRC";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let dir = get_directories().remove(0).0;
    let answers = match args.as_slice() {
        ["handle", handle] => forge(&dir, handle),
        ["string", bytes] => string(&dir, bytes.parse().unwrap()),
        ["hoard", jobs] => hoard(&dir, jobs.parse().unwrap()),
        ["crowd", jobs, flags, dst] => crowd(&dir, jobs.parse().unwrap(), flags, dst),
        ["storm", rounds, seed] => storm(&dir, rounds.parse().unwrap(), seed.parse().unwrap()),
        ["spam", rounds, src] => spam(&dir, rounds.parse().unwrap(), src),
        _ => panic!("{USAGE}"),
    };
    for (answer, count) in answers.0 {
        println!("{answer} {count}");
    }
}

/// The number of calls for each answer.
#[derive(Default)]
struct Answers(BTreeMap<String, u64>);

impl Answers {
    fn count(&mut self, answer: impl Into<String>) {
        *self.0.entry(answer.into()).or_default() += 1;
    }

    fn count_result(&mut self, result: Result<CopyReport, CopyError>) {
        self.count(match result {
            Ok(_) => "ok".to_owned(),
            Err(error) => code(&error),
        });
    }
}

/// Returns the name of the error code.
fn code(error: &CopyError) -> String {
    format!("{:?}", error.code).replace("ErrorCode::", "")
}

/// Copies with a descriptor made from a number. The host should trap.
fn forge(dir: &Descriptor, handle: &str) -> Answers {
    let timer = subscribe_duration(0);
    let number = match handle {
        // The host may reuse the number for another handle.
        "closed" => {
            let opened = dir.open_at(
                PathFlags::empty(),
                ".",
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            );
            opened.unwrap().handle()
        }
        "pollable" => timer.handle(),
        number => number.parse().unwrap(),
    };
    // SAFETY: a handle is an index that the runtime checks on each call; a wrong one traps and touches no
    // memory of this guest.
    let forged = unsafe { Descriptor::from_handle(number) };
    let mut answers = Answers::default();
    let flags = CopyFlags::empty();
    answers.count_result(copy::sparse_copy(&forged, "src", dir, "dst", flags));
    mem::forget(forged);
    answers
}

/// Passes a path of `bytes` bytes to a copy and to a job, as source and as destination.
fn string(dir: &Descriptor, bytes: usize) -> Answers {
    let long = "a/".repeat(bytes / 2);
    let mut answers = Answers::default();
    for (src, dst) in [(long.as_str(), "dst"), ("src", long.as_str())] {
        let flags = CopyFlags::empty();
        answers.count_result(copy::sparse_copy(dir, src, dir, dst, flags));
        let job = jobs::start_sparse_copy(dir, src, dir, dst, flags);
        answers.count_result(job.and_then(CopyJob::finish));
    }
    answers
}

/// Starts a job that copies `src` to `dst`.
fn start(dir: &Descriptor, dst: &str, flags: CopyFlags) -> Result<CopyJob, CopyError> {
    jobs::start_sparse_copy(dir, "src", dir, dst, flags)
}

/// Starts jobs, and leaks each of them with a pollable.
fn hoard(dir: &Descriptor, count: usize) -> Answers {
    let mut answers = Answers::default();
    for i in 0..count {
        match start(dir, &format!("dst-{i}"), CopyFlags::NO_SYNC) {
            Ok(job) => {
                mem::forget(job.subscribe());
                mem::forget(job);
                answers.count("started");
            }
            Err(error) => answers.count(code(&error)),
        }
    }
    answers
}

/// Starts all jobs, then finishes them.
fn crowd(dir: &Descriptor, count: usize, flags: &str, dst: &str) -> Answers {
    let flags = match flags {
        "replace" => CopyFlags::REPLACE,
        "no-sync" => CopyFlags::NO_SYNC,
        _ => CopyFlags::empty(),
    };
    let mut answers = Answers::default();
    let jobs: Vec<_> = (0..count)
        .map(|i| start(dir, &dst.replace("{i}", &i.to_string()), flags))
        .collect();
    for job in jobs {
        answers.count_result(job.and_then(CopyJob::finish));
    }
    answers
}

/// Copies one file many times.
fn spam(dir: &Descriptor, rounds: usize, src: &str) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..rounds {
        let flags = CopyFlags::NO_SYNC | CopyFlags::REPLACE;
        answers.count_result(copy::fast_copy(dir, src, dir, "spam", flags));
    }
    answers
}

/// Makes random calls on a growing set of jobs and pollables.
fn storm(dir: &Descriptor, rounds: usize, mut seed: u64) -> Answers {
    // xorshift64: any full-period generator will do.
    let mut chance = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    let mut answers = Answers::default();
    let mut jobs: Vec<CopyJob> = Vec::new();
    let mut pollables: Vec<Pollable> = Vec::new();
    for _ in 0..rounds {
        let flags = match chance(2) {
            0 => CopyFlags::NO_SYNC,
            _ => CopyFlags::NO_SYNC | CopyFlags::REPLACE,
        };
        let some = (!jobs.is_empty()).then(|| chance(jobs.len() as u64) as usize);
        match (chance(8), some) {
            (0..3, _) | (_, None) => match start(dir, &format!("dst-{}", chance(4)), flags) {
                Ok(job) => jobs.push(job),
                Err(error) => answers.count(code(&error)),
            },
            (3, Some(i)) => pollables.push(jobs[i].subscribe()),
            (4, Some(i)) => {
                jobs[i].cancel();
                let _ = jobs[i].progress();
            }
            (5, Some(i)) => drop(jobs.swap_remove(i)),
            (6, Some(i)) => answers.count_result(CopyJob::finish(jobs.swap_remove(i))),
            (_, Some(_)) => pollables.truncate(chance(3) as usize),
        }
    }
    for pollable in &pollables {
        // The jobs of some pollables are finished or dropped already. Every pollable must become ready.
        pollable.block();
    }
    drop(jobs);
    drop(pollables);
    answers
}
