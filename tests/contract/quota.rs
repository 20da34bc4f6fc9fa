//! Random copies, some at the same time and some that fail: afterwards a quota is charged what the
//! complete copies have allocated, and nothing is reserved.

use std::cell::Cell;
use std::time::Instant;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::filesystems::FileSystem;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime_fast_copy::{CopyControl, CopyMethod, CopyOptions, CopyQuota, CopyReport, Limits};

fast_copy_test_support::tests![a_quota_is_charged_what_complete_copies_allocated];

/// One copy, which may fail.
#[derive(Clone, Debug)]
struct Attempt {
    source: usize,
    destination: usize,
    sparse: bool,
    replace: bool,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Free,
    CancelledBefore,
    CancelledDuring,
    TooLate,
    TooLarge,
}

/// In bytes; the last one has no data.
const SOURCES: [u64; 4] = [1, 5000, 300_000, 0];

fn attempt() -> impl Strategy<Value = Attempt> {
    let end = prop_oneof![
        4 => Just(End::Free),
        1 => Just(End::CancelledBefore),
        1 => Just(End::CancelledDuring),
        1 => Just(End::TooLate),
        1 => Just(End::TooLarge),
    ];
    let operands = (0..SOURCES.len(), 0..3_usize, any::<(bool, bool)>());
    (operands, end).prop_map(|((source, destination, (sparse, replace)), end)| Attempt {
        source,
        destination,
        sparse,
        replace,
        end,
    })
}

fn make(attempt: &Attempt, dir: &std::path::Path, quota: &CopyQuota) -> Option<CopyReport> {
    let control = CopyControl::new();
    let mut options = CopyOptions::new()
        .durable(false)
        .replace(attempt.replace)
        .limits(Limits::new().quota(quota.clone()))
        .control(control.clone());
    match attempt.end {
        End::Free | End::CancelledDuring => {}
        End::CancelledBefore => assert!(control.cancel()),
        End::TooLate => options = options.deadline(Instant::now()),
        End::TooLarge => {
            let limits = options.get_limits().clone();
            options = options.limits(limits.max_size(100));
        }
    }
    let src = dir.join(format!("src-{}", attempt.source));
    let dst = dir.join(format!("dst-{}", attempt.destination));
    std::thread::scope(|scope| {
        if matches!(attempt.end, End::CancelledDuring) {
            scope.spawn(move || control.cancel());
        }
        let result = match attempt.sparse {
            false => options.fast_copy(src, dst),
            true => options.sparse_copy(src, dst),
        };
        result.ok()
    })
}

fn a_quota_is_charged_what_complete_copies_allocated(fs: &FileSystem) {
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let threads = prop::collection::vec(prop::collection::vec(attempt(), 0..8), 1..4);
    let limit = prop_oneof![Just(u64::MAX), 0..2_000_000_u64];
    let clones = Cell::new(0);
    let result = TestRunner::new(config).run(&(threads, limit), |(threads, limit)| {
        let dir = fs.dir();
        for (i, size) in SOURCES.into_iter().enumerate() {
            dense_file(&dir.path().join(format!("src-{i}")), size);
        }
        let quota = CopyQuota::new(limit);
        let reports: Vec<CopyReport> = std::thread::scope(|scope| {
            let threads: Vec<_> = threads
                .iter()
                .map(|attempts| {
                    let make = |attempt| make(attempt, dir.path(), &quota);
                    scope.spawn(move || attempts.iter().filter_map(make).collect::<Vec<_>>())
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        let complete: u64 = reports
            .iter()
            .map(|report| report.allocated.max(report.copied))
            .sum();
        prop_assert_eq!((quota.used(), quota.reserved()), (complete, 0));
        prop_assert!(quota.used() <= limit);
        let cloned = |report: &&CopyReport| report.method == CopyMethod::Reflink;
        clones.set(clones.get() + reports.iter().filter(cloned).count());
        Ok(())
    });
    result.unwrap();
    assert_eq!(clones.get() > 0, fs.reflinks());
}
