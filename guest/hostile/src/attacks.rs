//! The attacks that are the same on each version of WASI.

use std::mem;

use front::{CopyOptions, Descriptor, Function, OpenFlags};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::answers::Answers;

/// Returns a handle that the guest has dropped. The host may reuse its number for another handle.
pub async fn closed_handle(dir: &Descriptor) -> u32 {
    let opened = front::open(dir, ".", OpenFlags::DIRECTORY).await;
    opened.unwrap().handle()
}

/// Copies with a descriptor made from a number. The host should trap.
pub async fn forge(dir: &Descriptor, handle: u32) -> Answers {
    // SAFETY: a handle is an index that the runtime checks on each call; a wrong one traps and touches no
    // memory of this guest.
    let forged = unsafe { Descriptor::from_handle(handle) };
    let mut answers = Answers::default();
    let (src, dst) = ("src".to_owned(), "dst".to_owned());
    answers.count_result(front::copy(Function::SparseCopy, &forged, src, dir, dst, None).await);
    mem::forget(forged);
    answers
}

/// Passes a path of `bytes` bytes to both kinds of copy, as source and as destination.
pub async fn string(dir: &Descriptor, bytes: usize) -> Answers {
    let long = "a/".repeat(bytes / 2);
    let mut answers = Answers::default();
    for (src, dst) in [(long.clone(), "dst".to_owned()), ("src".to_owned(), long)] {
        let (src_path, dst_path) = (src.clone(), dst.clone());
        let copy = front::copy(Function::SparseCopy, dir, src_path, dir, dst_path, None);
        answers.count_result(copy.await);
        let copy = front::copy_with_progress(Function::SparseCopy, dir, src, dir, dst, None);
        answers.count_result(copy.await);
    }
    answers
}

/// Creates options.
pub fn options(replace: bool, durable: bool) -> CopyOptions {
    let options = CopyOptions::new();
    options.set_replace(replace);
    options.set_durable(durable);
    options
}

/// Starts all copies at once, then waits for each.
pub async fn crowd(dir: &Descriptor, count: usize, option: &str, dst: &str) -> Answers {
    let options = match option {
        "replace" => Some(options(true, true)),
        "no-sync" => Some(options(false, false)),
        _ => None,
    };
    let mut answers = Answers::default();
    let mut copies: FuturesUnordered<_> = (0..count)
        .map(|i| {
            let dst = dst.replace("{i}", &i.to_string());
            let (src, options) = ("src".to_owned(), options.as_ref());
            front::copy_concurrently(Function::SparseCopy, dir, src, dir, dst, options)
        })
        .collect();
    while let Some(result) = copies.next().await {
        answers.count_result(result);
    }
    answers
}

/// Copies one file many times.
pub async fn spam(dir: &Descriptor, rounds: usize, src: &str) -> Answers {
    let options = options(true, false);
    let mut answers = Answers::default();
    for _ in 0..rounds {
        let (src, dst) = (src.to_owned(), "spam".to_owned());
        let copy = front::copy(Function::FastCopy, dir, src, dir, dst, Some(&options));
        answers.count_result(copy.await);
    }
    answers
}

/// Creates options, and leaks them.
pub fn create_options(count: usize) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..count {
        mem::forget(CopyOptions::new());
        answers.count("created");
    }
    answers
}

/// Creates options, and drops each before the next.
pub fn churn(count: usize) -> Answers {
    let mut answers = Answers::default();
    for _ in 0..count {
        drop(CopyOptions::new());
        answers.count("created");
    }
    answers
}
