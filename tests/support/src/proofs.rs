//! How to tell by which way a copy came: from its outcome and its calls.

use std::collections::BTreeSet;

use crate::outcome::Outcome;
use crate::traced::Call;

/// Whether a copy came by a way; or what is missing. The numbers are what it may have copied at
/// most, in whole blocks, and the size of the source, both in bytes.
pub type Proof = fn(&Outcome, &[Call], u64, u64) -> Result<(), &'static str>;

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

/// The last block is not a whole one.
fn is_all(bytes: u64, most: u64) -> bool {
    bytes.next_multiple_of(4096) == most
}

fn demand(facts: &[(bool, &'static str)]) -> Result<(), &'static str> {
    match facts.iter().find(|(fact, _)| !fact) {
        Some((_, missing)) => Err(missing),
        None => Ok(()),
    }
}

pub fn cloned(outcome: &Outcome, calls: &[Call], _: u64, _: u64) -> Result<(), &'static str> {
    demand(&[
        (*outcome == Outcome::Ok("Reflink".into(), 0), "a clone"),
        (count(calls, "FICLONE") == 1, "one call"),
        (count(calls, "pwrite64(") == 0, "nothing written"),
    ])
}

pub fn offloaded(outcome: &Outcome, calls: &[Call], most: u64, _: u64) -> Result<(), &'static str> {
    demand(&[
        (is(outcome, "Offload"), "an offload"),
        (
            is_all(moved(calls, "copy_file_range"), most),
            "all data by it",
        ),
        (count(calls, "pwrite64(") == 0, "nothing written"),
    ])
}

pub fn pumped(outcome: &Outcome, calls: &[Call], most: u64, _: u64) -> Result<(), &'static str> {
    demand(&[
        (is(outcome, "Copy"), "a copy"),
        (is_all(moved(calls, "pwrite64"), most), "all data written"),
        (writers(calls) == 1, "one thread"),
        (count(calls, "copy_file_range(") == 0, "no offload"),
    ])
}

pub fn pumped_after_a_refusal(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    _: u64,
) -> Result<(), &'static str> {
    demand(&[
        (is(outcome, "Copy"), "a copy"),
        (count(calls, "copy_file_range(") == 1, "one offload tried"),
        (is_all(moved(calls, "pwrite64"), most), "all data written"),
    ])
}

pub fn offloaded_then_pumped(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    _: u64,
) -> Result<(), &'static str> {
    let (first, rest) = (moved(calls, "copy_file_range"), moved(calls, "pwrite64"));
    demand(&[
        (is(outcome, "Offload"), "an offload"),
        (count(calls, "copy_file_range(") == 2, "two offloads tried"),
        (first > 0 && rest > 0, "data by both"),
        (is_all(first + rest, most), "no byte twice"),
    ])
}

pub fn pumped_by_two(
    outcome: &Outcome,
    calls: &[Call],
    _: u64,
    _: u64,
) -> Result<(), &'static str> {
    demand(&[
        (is(outcome, "Copy"), "a copy"),
        (writers(calls) == 2, "two threads"),
        (count(calls, "copy_file_range(") == 0, "no offload"),
        (count(calls, "sync_file_range(") > 0, "the disk told early"),
    ])
}

pub fn all_read(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    demand(&[
        (moved(calls, "pread64") == size, "all of it read"),
        (count(calls, "lseek(") == 1, "one look for a map"),
    ])?;
    pumped(outcome, calls, most, size)
}

pub fn staged_under_a_name(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    named(calls)?;
    pumped(outcome, calls, most, size)
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
    demand(&[
        (count(calls, "O_EXCL") == 1, "a file with a name"),
        (count(calls, "renameat") == 1, "one renaming"),
        (count(calls, "linkat(") == 0, "no link"),
    ])
}

pub fn passed_through_a_name(
    outcome: &Outcome,
    calls: &[Call],
    most: u64,
    size: u64,
) -> Result<(), &'static str> {
    demand(&[
        (count(calls, "linkat(") == 2, "two links tried"),
        (count(calls, "renameat(") == 1, "one renaming"),
    ])?;
    pumped(outcome, calls, most, size)
}
