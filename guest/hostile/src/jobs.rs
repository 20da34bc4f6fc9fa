//! Attacks by jobs.

use std::mem;

use fast_copy::bindings::jobs::{self, CopyJob};
use front::{CopyError, CopyOptions, CopyReport, Descriptor};
use wasip2::io::poll::Pollable;

use crate::answers::Answers;
use crate::attacks::options;
use crate::chance::chance;

/// Starts a job that copies `src` to `dst`.
fn start(dir: &Descriptor, dst: &str, options: &CopyOptions) -> Result<CopyJob, CopyError> {
    jobs::start_sparse_copy(dir, "src", dir, dst, Some(options))
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
pub fn hoard(dir: &Descriptor, count: usize) -> Answers {
    let options = options(false, false);
    let mut answers = Answers::default();
    for i in 0..count {
        match start(dir, &format!("dst-{i}"), &options) {
            Ok(job) => {
                mem::forget(job.subscribe());
                mem::forget(job);
                answers.count("started");
            }
            Err(error) => answers.count_code(&error.code),
        }
    }
    answers
}

/// Makes random calls on a growing set of jobs and pollables.
pub fn storm(dir: &Descriptor, rounds: usize, seed: u64) -> Answers {
    let mut chance = chance(seed);
    let mut answers = Answers::default();
    let mut jobs: Vec<CopyJob> = Vec::new();
    let mut pollables: Vec<Pollable> = Vec::new();
    // Jobs keep the options that they were started with.
    let options = options(false, false);
    for _ in 0..rounds {
        options.set_replace(chance(2) == 1);
        let some = (!jobs.is_empty()).then(|| chance(jobs.len()));
        match (chance(8), some) {
            (0..3, _) | (_, None) => {
                let dst = format!("dst-{}", chance(4));
                match start(dir, &dst, &options) {
                    Ok(job) => jobs.push(job),
                    Err(error) => answers.count_code(&error.code),
                }
            }
            (3, Some(i)) => pollables.push(jobs[i].subscribe()),
            (4, Some(i)) => {
                jobs[i].cancel();
                let _ = (jobs[i].progress(), jobs[i].get());
            }
            (5, Some(i)) => drop(jobs.swap_remove(i)),
            (6, Some(i)) => answers.count_result(end(jobs.swap_remove(i))),
            (_, Some(_)) => pollables.truncate(chance(3)),
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
