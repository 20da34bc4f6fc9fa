//! Makes each system call of a copy fail with each error number, and checks the invariant each time.
//!
//! A worker process makes the copies of one file system. It forks a child for each, which copies with the
//! engine's functions, and traces it (ptrace(2)). A seccomp filter stops the child only at the system call that is
//! to fail. Which calls a copy makes is found out by a first copy that stops at all.
//!
//! `FAST_COPY_SEED` selects the errors of the short form. A violation names the copy, the call and the error; the
//! same seed tries it again.

mod calls;
mod cases;
mod check;
mod errno;
mod expected;
mod filter;
mod outcome;
mod ptrace;
mod run;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use fast_copy_test_support::figures;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::scale::scaled;

fast_copy_test_support::tests![
    each_call_fails_with_each_error where Holes and Preallocation and Permissions and UnnamedFiles and NoReplace and Leases,
];

/// The argument of the worker process.
pub const FLAG: &str = "--error-worker";

/// The environment variable with the seed of the short form.
const SEED: &str = "FAST_COPY_SEED";

pub fn main(args: &[String]) -> ExitCode {
    sweep::main(args)
}

fn each_call_fails_with_each_error(fs: &FileSystem) {
    let dir = fs.dir();
    let form = match scaled(1, 0) {
        1 => "long".to_owned(),
        _ => std::env::var(SEED).unwrap_or_else(|_| new_seed()),
    };
    println!("{SEED}={form}");
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(FLAG)
        .arg(dir.path())
        .args([fs.reflinks().to_string(), form.clone()])
        .args(std::env::var("FAST_COPY_CASE"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = Vec::new();
    let mut violations = Vec::new();
    let mut answers: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        match fields[..] {
            [sweep::COUNT, name, count] => figures.push((name, count.parse().unwrap())),
            [sweep::VIOLATION, violation] => violations.push(violation),
            [sweep::ANSWER, call, succeeds, errors] => {
                answers
                    .entry((call, succeeds))
                    .or_default()
                    .extend(errors.split(' '));
            }
            [sweep::CASE, title, runs, milliseconds] => {
                println!("{}: {title}: {runs} copies in {milliseconds} ms", fs.name);
            }
            _ => println!("{line}"),
        }
    }
    if form == "long" {
        print_answers(fs, &answers);
    }
    figures::record("errors", fs.name, &figures);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert!(
        violations.is_empty() && !figures.is_empty(),
        "{SEED}={form}: {} violations:\n{}\n{errors}",
        violations.len(),
        violations.join("\n")
    );
}

/// Prints after which errors of each call copies have succeeded, and after which they have failed. A call can be
/// in both lists with the same error, because it matters which of several calls fails.
fn print_answers(fs: &FileSystem, answers: &BTreeMap<(&str, &str), BTreeSet<&str>>) {
    for ((call, succeeds), errors) in answers {
        let result = match *succeeds {
            "true" => "succeeds",
            _ => "fails",
        };
        let errors: Vec<_> = errors.iter().copied().collect();
        println!(
            "{}: {call}: {result} after {} errors: {}",
            fs.name,
            errors.len(),
            errors.join(" ")
        );
    }
}

fn new_seed() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos().to_string()
}
