//! A lack of what the process may have: descriptors, file size, address space, threads.
//!
//! The copies of a test are made by one child, which lowers its limit for each of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::child::{become_user, limit, mapped_memory, open_descriptors};
use fast_copy_test_support::files::{KIB, MIB};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::scale::scaled;
use fastrand::Rng;
use rustix::process::Resource;

use super::attempt::{Attempt, Place};
use super::{Tally, seed};

/// The first argument of a child. The resource, the directory, a seed and the number of copies follow.
pub const FLAG: &str = "--copies-with-limits";

/// A user whose processes are counted: none of the system's, and none of another test's.
const USER: u32 = 3_210_000;

/// The least address space that is left, in bytes. With less, an allocation of the standard library can fail, which
/// aborts the process.
const LEAST_MEMORY: u64 = 128 * KIB;

/// Makes the copies in this process, and prints the result of each: `ok`, `error KIND` or `violation TEXT`.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [resource, dir, seed, runs] = &arguments[..] else {
        panic!("{FLAG} RESOURCE DIR SEED RUNS");
    };
    let mut rng = Rng::with_seed(seed.parse().unwrap());
    let dir = Path::new(dir);
    let mut place = Place::new(dir, 3 * MIB, &mut rng);
    if resource == "threads" {
        fs::set_permissions(dir, Permissions::from_mode(0o777)).unwrap();
        become_user(USER + std::process::id());
    }
    for _ in 0..runs.parse().unwrap() {
        match copy(resource, &mut place, &mut rng) {
            Ok(None) => println!("ok"),
            Ok(Some(error)) => println!("error {error}"),
            Err(violation) => println!("violation {violation}"),
        }
    }
    ExitCode::SUCCESS
}

/// Makes a copy with a random limit, and another one without.
fn copy(resource: &str, place: &mut Place, rng: &mut Rng) -> Result<Option<String>, String> {
    let attempt = Attempt::random(rng);
    // Each copy needs a thread of its own then.
    place.renew();
    wait_for_threads();
    place.reset(&attempt);
    let open = open_descriptors();
    let (limited, most) = level(resource, place, &open, rng);
    let usual = limit(limited, most);
    let result = place.make(&attempt);
    limit(limited, usual);
    let error = place.judge(&attempt, &result)?;
    let closed = open_descriptors() == open;
    if !closed {
        return Err(format!("{attempt:?}: it has left a descriptor open"));
    }
    if error.is_some() {
        place.reset(&attempt);
        if let Some(again) = place.copy(&attempt)? {
            return Err(format!("{attempt:?}: {again}, without the limit"));
        }
    }
    Ok(error)
}

/// Waits until the threads of former hosts have ended, because they count.
fn wait_for_threads() {
    let is_of_a_slot = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm"));
        // A thread can end meanwhile.
        name.is_ok_and(|name| name == "fast-copy\n")
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir("/proc/self/task")
        .unwrap()
        .any(|task| is_of_a_slot(task.unwrap()))
    {
        assert!(Instant::now() < deadline, "a thread does not end");
        thread::sleep(Duration::from_micros(100));
    }
}

/// Returns a limit between too low and enough.
fn level(resource: &str, place: &Place, open: &[u64], rng: &mut Rng) -> (Resource, u64) {
    match resource {
        "descriptors" => {
            let free = rng.usize(..=8);
            let unused = |number: &u64| !open.contains(number);
            let most = (0..).filter(unused).nth(free).unwrap();
            (Resource::Nofile, most)
        }
        "file size of the process" => {
            let size = fs::metadata(place.src()).unwrap().len();
            (Resource::Fsize, rng.u64(..size * 3 / 2))
        }
        "address space" => {
            // Enough for a buffer, or also for a thread.
            let enough = if rng.bool() { 512 * KIB } else { 5 * MIB };
            let left = rng.u64(LEAST_MEMORY..=enough);
            (Resource::As, mapped_memory() + left)
        }
        "threads" => {
            let threads = fs::read_dir("/proc/self/task").unwrap().count() as u64;
            (Resource::Nproc, threads + rng.u64(..=2))
        }
        other => panic!("no resource {other}"),
    }
}

/// Runs a child that makes the copies, and counts its results.
fn copy_in_child(resource: &str, fs: &FileSystem, runs: usize) {
    let seed = seed();
    let dir = fs.dir();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([FLAG, resource])
        .arg(dir.path())
        .args([seed.to_string(), runs.to_string()])
        // A freed buffer goes back to the system, and threads reserve no memory for later (mallopt(3)): then each
        // copy needs memory.
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let mut tally = Tally::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        tally.count(match line.split_once(' ') {
            None => Ok(None),
            Some(("error", error)) => Ok(Some(error.to_owned())),
            Some((_, violation)) => Err(violation.to_owned()),
        });
    }
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        tally.count(Err(format!("the child: {}: {errors}", output.status)));
    }
    tally.conclude(resource, fs.name, seed);
}

pub fn a_lack_of_descriptors_is_an_error(fs: &FileSystem) {
    copy_in_child("descriptors", fs, scaled(1500, 60));
}

pub fn a_file_above_the_limit_of_the_process_is_an_error(fs: &FileSystem) {
    copy_in_child("file size of the process", fs, scaled(1000, 40));
}

pub fn a_lack_of_address_space_is_an_error(fs: &FileSystem) {
    copy_in_child("address space", fs, scaled(1500, 60));
}

pub fn a_lack_of_threads_is_an_error(fs: &FileSystem) {
    copy_in_child("threads", fs, scaled(1000, 40));
}
