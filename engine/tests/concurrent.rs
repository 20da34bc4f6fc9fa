//! Copies on many threads at once, which share a quota and a rate, and which other threads cancel and watch. It is
//! short, and runs under ThreadSanitizer and AddressSanitizer too (tests/reliability/sanitizers.sh).

#![cfg(unix)]

use std::fs::{self, File};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use fast_copy_engine::{
    CopyControl, CopyErrorKind, CopyOptions, CopyQuota, CopyRate, FreeSpaceFloor, Limits,
};

const MIB: u64 = 1 << 20;

/// The size of the source. It has more data than the least for which a copy uses two threads.
const SIZE: u64 = 24 * MIB;

const THREADS: usize = 4;
const ROUNDS: usize = 6;

#[test]
fn copies_on_many_threads_are_complete_or_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    make(&source);
    let expected = fs::read(&source).unwrap();

    let quota = CopyQuota::new(u64::MAX);
    let rate = CopyRate::new(NonZero::new(1 << 40).unwrap());
    let limits = Limits::new()
        .quota(quota.clone())
        .rate(rate)
        .free_space_floor(FreeSpaceFloor::NONE);
    let mut charged = 0;
    for round in 0..ROUNDS {
        // In some rounds all threads replace the same file.
        let name = |number| match round % 3 {
            0 => "shared".to_owned(),
            _ => format!("copy-{number}"),
        };
        let cancels = round % 2 == 1;
        charged += thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let destination = dir.path().join(name(number));
                    let (source, limits) = (&source, &limits);
                    let shares = (round + number) % 2 == 0;
                    scope.spawn(move || copy(source, &destination, limits, shares, cancels))
                })
                .collect();
            let charges = threads.into_iter().map(|thread| thread.join().unwrap());
            charges.sum::<u64>()
        });
        for number in 0..THREADS {
            let destination = dir.path().join(name(number));
            if destination.exists() {
                assert!(
                    fs::read(&destination).unwrap() == expected,
                    "{destination:?}"
                );
            }
        }
    }
    assert_eq!(quota.used(), charged);
    assert_eq!(quota.reserved(), 0);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with('.'), "{name} is left");
    }
}

/// Makes one copy while another thread watches it, and cancels it if asked to. Returns its charge.
fn copy(source: &Path, destination: &Path, limits: &Limits, shares: bool, cancels: bool) -> u64 {
    let control = CopyControl::new();
    let options = CopyOptions::new()
        .replace(true)
        .durable(false)
        .max_workers(NonZero::new(2).unwrap())
        .limits(limits.clone())
        .control(control.clone());
    let existed = destination.exists();
    let result = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while control
                .total()
                .is_none_or(|total| control.copied() < total / 2)
            {
                if cancels && control.copied() > 0 {
                    return control.cancel();
                }
                if control.is_cancelled() {
                    break;
                }
                thread::yield_now();
            }
            false
        });
        let result = match shares {
            true => options.fast_copy(source, destination),
            false => options.sparse_copy(source, destination),
        };
        // Ends the watching, also if the copy was a clone. It changes nothing any more.
        control.cancel();
        watching.join().unwrap();
        result
    });
    match result {
        Ok(report) => {
            assert_eq!(report.size, SIZE);
            report.allocated.max(report.copied)
        }
        Err(error) => {
            assert!(
                cancels && matches!(error.kind(), CopyErrorKind::Cancelled),
                "{error}"
            );
            assert!(existed || !destination.exists() || destination.ends_with("shared"));
            0
        }
    }
}

/// Makes a file with data, holes and a rest.
fn make(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(SIZE).unwrap();
    let data: Vec<u8> = (0..MIB).map(|i| (i % 251) as u8 + 1).collect();
    for i in (0..SIZE / MIB).filter(|i| i % 8 != 3) {
        file.write_all_at(&data, i * MIB).unwrap();
    }
}
