//! Checks that a copy used a strategy, by its outcome and its system calls.

use std::collections::BTreeSet;

use crate::features::kernel;
use crate::outcome::Outcome;
use crate::traced::Call;

/// Checks a copy, and returns what is missing if it used another strategy. The arguments are its
/// outcome, its calls, the most bytes that it may have moved, in whole blocks, and the size of the source.
pub type TraceCheck = fn(&Outcome, &[Call], u64, u64) -> Result<(), &'static str>;

fn count(calls: &[Call], part: &str) -> usize {
    calls.iter().filter(|call| call.line.contains(part)).count()
}

fn moved(calls: &[Call], name: &str) -> u64 {
    let by_it = calls.iter().filter(|call| call.name == name);
    by_it.map(Call::bytes).sum()
}

fn writers(calls: &[Call]) -> usize {
    let writes = calls.iter().filter(|call| call.name == "pwrite64");
    let threads: BTreeSet<_> = writes.map(|call| &call.thread).collect();
    threads.len()
}

fn is(outcome: &Outcome, method: &str) -> bool {
    matches!(outcome, Outcome::Ok(found, _) if found == method)
}

/// Whether `bytes` are `most`, which counts the last block as a whole one.
fn is_all(bytes: u64, most: u64) -> bool {
    bytes.next_multiple_of(4096) == most
}

fn require(facts: &[(bool, &'static str)]) -> Result<(), &'static str> {
    match facts.iter().find(|(fact, _)| !fact) {
        Some((_, missing)) => Err(missing),
        None => Ok(()),
    }
}

pub fn cloned(outcome: &Outcome, calls: &[Call], _: u64, _: u64) -> Result<(), &'static str> {
    require(&[
        (*outcome == Outcome::Ok("Reflink".into(), 0), "a clone"),
        (count(calls, "FICLONE") == 1, "one call"),
        (count(calls, "pwrite64(") == 0, "nothing written"),
    ])
}

pub fn offloaded(outcome: &Outcome, calls: &[Call], most: u64, _: u64) -> Result<(), &'static str> {
    require(&[
        (is(outcome, "Offload"), "an offload"),
        (
            is_all(moved(calls, "copy_file_range"), most),
            "all data by it",
        ),
        (count(calls, "pwrite64(") == 0, "nothing written"),
    ])
}

pub fn read_and_written(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    _: u64,
) -> Result<(), &'static str> {
    require(&[
        (is(outcome, "Copy"), "a copy"),
        (is_all(moved(calls, "pwrite64"), most), "all data written"),
        (writers(calls) == 1, "one thread"),
        (count(calls, "copy_file_range(") == 0, "no offload"),
    ])
}

pub fn read_and_written_after_a_refusal(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    _: u64,
) -> Result<(), &'static str> {
    require(&[
        (is(outcome, "Copy"), "a copy"),
        (count(calls, "copy_file_range(") == 1, "one offload tried"),
        (is_all(moved(calls, "pwrite64"), most), "all data written"),
    ])
}

pub fn offloaded_then_written(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    _: u64,
) -> Result<(), &'static str> {
    let (first, rest) = (moved(calls, "copy_file_range"), moved(calls, "pwrite64"));
    require(&[
        (is(outcome, "Offload"), "an offload"),
        (count(calls, "copy_file_range(") == 2, "two offloads tried"),
        (first > 0 && rest > 0, "data moved by both"),
        (is_all(first + rest, most), "no byte moved twice"),
    ])
}

pub fn read_and_written_by_two(
    outcome: &Outcome,
    calls: &[Call],
    _: u64,
    _: u64,
) -> Result<(), &'static str> {
    require(&[
        (is(outcome, "Copy"), "a copy"),
        (writers(calls) == 2, "two threads"),
        (count(calls, "copy_file_range(") == 0, "no offload"),
        (
            count(calls, "sync_file_range(") > 0,
            "writeback started early",
        ),
    ])
}

pub fn all_read(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    require(&[
        (moved(calls, "pread64") == size, "the whole file read"),
        (count(calls, "lseek(") == 1, "one lseek"),
    ])?;
    read_and_written(outcome, calls, most, size)
}

pub fn staged_under_a_name(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    named(calls)?;
    read_and_written(outcome, calls, most, size)
}

pub fn cloned_under_a_name(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    named(calls)?;
    cloned(outcome, calls, most, size)
}

fn named(calls: &[Call]) -> Result<(), &'static str> {
    require(&[
        (count(calls, "O_EXCL") == 1, "a staged file with a name"),
        (count(calls, "renameat") == 1, "one renaming"),
        (count(calls, "linkat(") == 0, "no link"),
    ])
}

pub fn replaced_through_a_link(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    // The first one fails with EEXIST. On btrfs before Linux 6.18, a durable copy makes only the temporary link.
    let links = count(calls, "linkat(");
    let is_named_before_sync = links == 1 && kernel() < (6, 18);
    require(&[
        (links == 2 || is_named_before_sync, "two links tried"),
        (count(calls, "renameat(") == 1, "one renaming"),
    ])?;
    read_and_written(outcome, calls, most, size)
}
