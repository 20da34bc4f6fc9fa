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

use std::collections::BTreeMap;
use std::mem;

use fast_copy::Descriptor;
use fast_copy::bindings::copy;
use fast_copy::bindings::jobs::{self, CopyJob};
use fast_copy::bindings::types::{CopyError, CopyOptions, CopyReport};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::poll::Pollable;

const USAGE: &str = "usage: hostile handle (NUMBER|closed|pollable) | string BYTES | hoard JOBS | \
    crowd JOBS OPTION DST | storm ROUNDS SEED | spam ROUNDS SRC | options COUNT | churn COUNT";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let dir = get_directories().remove(0).0;
    let answers = match args.as_slice() {
        ["handle", handle] => forge(&dir, handle),
        ["string", bytes] => string(&dir, bytes.parse().unwrap()),
        ["hoard", jobs] => hoard(&dir, jobs.parse().unwrap()),
        ["crowd", jobs, option, dst] => crowd(&dir, jobs.parse().unwrap(), option, dst),
        ["storm", rounds, seed] => storm(&dir, rounds.parse().unwrap(), seed.parse().unwrap()),
        ["spam", rounds, src] => spam(&dir, rounds.parse().unwrap(), src),
        ["options", count] => create_options(count.parse().unwrap()),
        ["churn", count] => churn(count.parse().unwrap()),
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
    answers.count_result(copy::sparse_copy(&forged, "src", dir, "dst", None));
    mem::forget(forged);
    answers
}

/// Passes a path of `bytes` bytes to a copy and to a job, as source and as destination.
fn string(dir: &Descriptor, bytes: usize) -> Answers {
    let long = "a/".repeat(bytes / 2);
    let mut answers = Answers::default();
    for (src, dst) in [(long.as_str(), "dst"), ("src", long.as_str())] {
        answers.count_result(copy::sparse_copy(dir, src, dir, dst, None));
        let job = jobs::start_sparse_copy(dir, src, dir, dst, None);
        answers.count_result(job.and_then(end));
    }
    answers
}

/// Creates options.
fn options(replace: bool, durable: bool) -> CopyOptions {
    let options = CopyOptions::new();
    options.set_replace(replace);
    options.set_durable(durable);
    options
}

/// Starts a job that copies `src` to `dst`.
fn start(dir: &Descriptor, dst: &str, options: Option<&CopyOptions>) -> Result<CopyJob, CopyError> {
    jobs::start_sparse_copy(dir, "src", dir, dst, options)
}

/// Waits until a job has ended, drops it, and returns its result.
fn end(job: CopyJob) -> Result<CopyReport, CopyError> {
    job.subscribe().block();
    let result = job
        .get()
        .expect("a job whose pollable is ready has a result");
    assert_eq!(job.get().as_ref(), Some(&result), "the result has changed");
    result
}

/// Starts jobs, and leaks each of them with a pollable.
fn hoard(dir: &Descriptor, count: usize) -> Answers {
    let options = options(false, false);
    let mut answers = Answers::default();
    for i in 0..count {
        match start(dir, &format!("dst-{i}"), Some(&options)) {
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

/// Starts all jobs, then waits for each and drops it.
fn crowd(dir: &Descriptor, count: usize, option: &str, dst: &str) -> Answers {
    let options = match option {
        "replace" => Some(options(true, true)),
        "no-sync" => Some(options(false, false)),
        _ => None,
    };
    let mut answers = Answers::default();
    let jobs: Vec<_> = (0..count)
        .map(|i| start(dir, &dst.replace("{i}", &i.to_string()), options.as_ref()))
        .collect();
    for job in jobs {
        answers.count_result(job.and_then(end));
    }
    answers
}

/// Copies one file many times.
fn spam(dir: &Descriptor, rounds: usize, src: &str) -> Answers {
    let options = options(true, false);
    let mut answers = Answers::default();
    for _ in 0..rounds {
        answers.count_result(copy::fast_copy(dir, src, dir, "spam", Some(&options)));
    }
    answers
}

/// Creates options, and leaks them.
fn create_options(count: usize) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..count {
        mem::forget(CopyOptions::new());
        answers.count("created");
    }
    answers
}

/// Creates options, and drops each before the next.
fn churn(count: usize) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..count {
        drop(CopyOptions::new());
        answers.count("created");
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
    // Jobs keep the options that they were started with.
    let options = options(false, false);
    for _ in 0..rounds {
        options.set_replace(chance(2) == 1);
        let some = (!jobs.is_empty()).then(|| chance(jobs.len() as u64) as usize);
        match (chance(8), some) {
            (0..3, _) | (_, None) => {
                let dst = format!("dst-{}", chance(4));
                match start(dir, &dst, Some(&options)) {
                    Ok(job) => jobs.push(job),
                    Err(error) => answers.count(code(&error)),
                }
            }
            (3, Some(i)) => pollables.push(jobs[i].subscribe()),
            (4, Some(i)) => {
                jobs[i].cancel();
                let _ = (jobs[i].progress(), jobs[i].get());
            }
            (5, Some(i)) => drop(jobs.swap_remove(i)),
            (6, Some(i)) => answers.count_result(end(jobs.swap_remove(i))),
            (_, Some(_)) => pollables.truncate(chance(3) as usize),
        }
    }
    for pollable in &pollables {
        // The jobs of some pollables are dropped already. Every pollable must become ready.
        pollable.block();
    }
    drop(jobs);
    drop(pollables);
    answers
}
