//! Contract line 15, and the limits of a caller: quota, free space, time, rate, the extents of a clone,
//! permission bits.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::{
    KIB, MIB, allocated, assert_same, assert_text, dense_file, exists, names, sparse_file,
    text_file, write_data,
};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::function::{ALL, Function, ONE_WORKER, TWO_WORKERS};
use fast_copy_test_support::program::run;
use wasmtime_fast_copy::{
    CopyControl, CopyErrorKind, CopyMethod, CopyOptions, CopyQuota, CopyRate, CopyStep,
    FreeSpaceFloor, Limits,
};

fast_copy_test_support::tests![
    a_quota_is_charged_what_each_complete_copy_allocates where Allocation,
    a_source_with_more_data_than_the_quota_fails_before_it_is_copied where Allocation,
    a_preallocated_source_needs_quota_and_room_for_its_data_only where Small and Preallocation,
    a_quota_counts_allocation_beyond_the_data where ExtentSizeHints and Small and ClonesAreLimited,
    blocks_that_only_the_copy_needs_are_charged where ExtentTree and Mounts,
    a_failed_copy_is_not_charged,
    concurrent_copies_never_exceed_the_quota where Allocation,
    a_copy_that_would_go_below_the_free_space_floor_fails where Small,
    the_free_space_floor_is_checked_while_bytes_move where Small,
    a_copy_past_its_deadline_is_not_published,
    a_rate_limits_the_sum_of_its_copies,
    at_a_low_rate_only_one_block_is_copied_at_once where ClonesAreLimited,
    a_source_with_too_many_extents_is_not_cloned where Reflinks and BlockMap,
    extents_of_dirty_pages_count_for_the_clone_limit where Reflinks and BlockMap,
    the_permissions_mask_removes_permission_bits where Permissions,
];

/// Makes a source with data and a hole, of which each file system allocates at least what is written.
fn source(dir: &Path) -> std::path::PathBuf {
    let src = dir.join("src");
    sparse_file(&src, 4 * MIB, &[0..MIB, 2 * MIB..2 * MIB + 64 * KIB]);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    src
}

fn a_quota_is_charged_what_each_complete_copy_allocates(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let quota = CopyQuota::new(u64::MAX);
    let options = CopyOptions::new()
        .limits(Limits::new().quota(quota.clone()))
        .replace(true);
    let mut charged = 0;
    for function in ALL {
        // The second copy replaces the first, whose charge isn't refunded.
        for _ in 0..2 {
            let dst = dir.path().join(format!("{function:?}"));
            let report = function.call(&options, &src, &dst).unwrap();
            assert!(
                report.allocated >= MIB,
                "the copy has less allocated than its data"
            );
            charged += report.allocated;
            assert_eq!((quota.used(), quota.reserved()), (charged, 0));
        }
    }
    quota.reset();
    assert_eq!(quota.used(), 0);
}

/// Where there is no block map, it fails when the quota is used up.
fn a_source_with_more_data_than_the_quota_fails_before_it_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let needed = allocated(&src);
    for function in ALL {
        let dst = dir.path().join(format!("{function:?}"));
        let quota = CopyQuota::new(needed - 1);
        let options = CopyOptions::new().limits(Limits::new().quota(quota.clone()));
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::QuotaExceeded));
        assert_eq!(error.step(), CopyStep::Transfer);
        if fs.has_fiemap() {
            assert_eq!(error.copied(), 0);
        }
        assert!(!exists(&dst));
        assert_eq!((quota.used(), quota.reserved()), (0, 0));

        quota.set_limit(needed);
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(report.allocated <= needed);
        assert_eq!((quota.used(), quota.reserved()), (report.allocated, 0));
    }
}

/// A clone would need what is allocated for the source; the copy of its bytes doesn't.
fn a_preallocated_source_needs_quota_and_room_for_its_data_only(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name) + 400 * MIB);
    let src = small.root.join("src");
    let file = fs::File::create(&src).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 0, 128 * MIB).unwrap();
    write_data(&file, 0..MIB);
    file.sync_all().unwrap();
    let stat = rustix::fs::statvfs(&small.root).unwrap();
    let floor = FreeSpaceFloor::of_bytes(stat.f_bavail * stat.f_frsize - 64 * MIB);
    for function in ALL {
        for limits in [
            Limits::new().quota(CopyQuota::new(16 * MIB)),
            Limits::new().free_space_floor(floor),
        ] {
            let dst = small.root.join("dst");
            let options = CopyOptions::new().limits(limits);
            let report = function.call(&options, &src, &dst).unwrap();
            assert_same(&src, &dst);
            // The floor does not prevent a clone.
            if report.method != CopyMethod::Reflink {
                assert!(report.allocated <= 2 * MIB, "{function:?}: {report:?}");
            }
            fs::remove_file(&dst).unwrap();
        }
    }
}

/// With an extent size hint, XFS allocates 64 MiB for each of 23 extents of 4 KiB.
fn a_quota_counts_allocation_beyond_the_data(fs: &FileSystem) {
    let small = Small::new(fs.name, 3 << 30);
    let (src, hinted) = (small.root.join("src"), small.root.join("hinted"));
    let extents: Vec<_> = (0..23)
        .map(|i| i * 64 * MIB..i * 64 * MIB + 4 * KIB)
        .collect();
    sparse_file(&src, 23 * 64 * MIB, &extents);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    fs::create_dir(&hinted).unwrap();
    run(Command::new("xfs_io")
        .args(["-c", "extsize 64m"])
        .arg(&hinted));
    let dst = hinted.join("dst");
    let stat = rustix::fs::statvfs(&small.root).unwrap();
    let floor = FreeSpaceFloor::of_bytes(stat.f_bavail * stat.f_frsize - 512 * MIB);
    for function in [Function::FastWithoutClone, Function::Sparse] {
        let quota = CopyQuota::new(256 * MIB);
        let exceeded: fn(&CopyErrorKind) -> bool =
            |kind| matches!(kind, CopyErrorKind::QuotaExceeded);
        let reached: fn(&CopyErrorKind) -> bool =
            |kind| matches!(kind, CopyErrorKind::InsufficientSpace(_));
        for (limits, expected) in [
            (Limits::new().quota(quota.clone()), exceeded),
            (Limits::new().free_space_floor(floor), reached),
        ] {
            let options = CopyOptions::new().limits(limits);
            let error = function.call(&options, &src, &dst).unwrap_err();
            assert!(expected(error.kind()), "{error}");
            assert_eq!(error.step(), CopyStep::Transfer);
            assert!(error.copied() < 12 * 4 * KIB, "{}", error.copied());
            assert!(!exists(&dst));
        }
        assert_eq!((quota.used(), quota.reserved()), (0, 0));
    }
    let report = CopyOptions::new().sparse_copy(&src, &dst).unwrap();
    assert!(report.allocated > 23 * 32 * MIB, "{report:?}");
    assert!(report.notes.holes_not_kept);
}

/// ext4 allocates a block for the extent tree of more than four extents; tmpfs doesn't.
fn blocks_that_only_the_copy_needs_are_charged(fs: &FileSystem) {
    let tmpfs = Small::new("tmpfs", 16 * MIB);
    let (dir, src) = (fs.dir(), tmpfs.root.join("src"));
    let dst = dir.path().join("dst");
    let extents: Vec<_> = (0..10).map(|i| i * MIB..i * MIB + 4 * KIB).collect();
    sparse_file(&src, 10 * MIB, &extents);
    let needed = allocated(&src);
    for function in ALL {
        let quota = CopyQuota::new(needed);
        let options = CopyOptions::new().limits(Limits::new().quota(quota.clone()));
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::QuotaExceeded));
        assert_eq!(error.step(), CopyStep::Finish);
        assert_eq!((quota.used(), quota.reserved()), (0, 0));
        assert!(!exists(&dst));

        quota.set_limit(needed + 4 * KIB);
        function.call(&options, &src, &dst).unwrap();
        assert_eq!((quota.used(), quota.reserved()), (needed + 4 * KIB, 0));
        fs::remove_file(&dst).unwrap();
    }
}

fn a_failed_copy_is_not_charged(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let dst = text_file(dir.path(), "dst", "old");
    let quota = CopyQuota::new(u64::MAX);
    for function in ALL {
        let cancelled = CopyControl::new();
        cancelled.cancel();
        for options in [
            CopyOptions::new(),
            CopyOptions::new()
                .replace(true)
                .limits(Limits::new().max_size(1)),
            CopyOptions::new().replace(true).deadline(Instant::now()),
            CopyOptions::new().replace(true).control(cancelled),
        ] {
            let limits = options.get_limits().clone().quota(quota.clone());
            let options = options.limits(limits);
            function.call(&options, &src, &dst).unwrap_err();
            assert_eq!((quota.used(), quota.reserved()), (0, 0));
            assert_text(&dst, "old");
        }
    }
}

fn concurrent_copies_never_exceed_the_quota(fs: &FileSystem) {
    let dir = fs.dir();
    let src = source(dir.path());
    let needed = allocated(&src);
    let quota = CopyQuota::new(3 * needed);
    let options = CopyOptions::new()
        .limits(Limits::new().quota(quota.clone()))
        .durable(false);
    let results: Vec<_> = std::thread::scope(|scope| {
        let copies: Vec<_> = (0..12)
            .map(|i| {
                let (options, src) = (&options, &src);
                let dst = dir.path().join(format!("dst-{i}"));
                scope.spawn(move || ALL[i % ALL.len()].call(options, src, &dst))
            })
            .collect();
        copies
            .into_iter()
            .map(|copy| copy.join().unwrap())
            .collect()
    });
    let complete: u64 = results
        .iter()
        .flatten()
        .map(|report| report.allocated)
        .sum();
    assert_eq!((quota.used(), quota.reserved()), (complete, 0));
    assert!(quota.used() <= quota.limit());
    assert!(results.iter().any(|result| result.is_ok()));
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        let is_refused = matches!(error.kind(), CopyErrorKind::QuotaExceeded);
        assert!(is_refused, "{error}");
    }
}

/// Another process fills the file system during the copy.
fn the_free_space_floor_is_checked_while_bytes_move(fs: &FileSystem) {
    for workers in [ONE_WORKER, TWO_WORKERS] {
        let small = Small::new(fs.name, smallest(fs.name) + 400 * MIB);
        let (src, dst) = (small.root.join("src"), small.root.join("dst"));
        dense_file(&src, 64 * MIB);
        fs::File::open(&src).unwrap().sync_all().unwrap();
        let stat = rustix::fs::statvfs(&small.root).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let floor = FreeSpaceFloor::of_bytes(free - 80 * MIB);
        let control = CopyControl::new();
        let options = CopyOptions::new()
            .limits(
                Limits::new()
                    .free_space_floor(floor)
                    .rate(CopyRate::new(NonZero::new(20 * MIB).unwrap())),
            )
            .max_workers(workers)
            .control(control.clone());
        let error = std::thread::scope(|scope| {
            let copying = scope.spawn(|| options.sparse_copy(&src, &dst).unwrap_err());
            while control.copied() == 0 && !copying.is_finished() {
                std::thread::yield_now();
            }
            let filler = fs::File::create(small.root.join("filler")).unwrap();
            let flags = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&filler, flags, 0, 200 * MIB).unwrap();
            // btrfs counts the allocation once it is committed.
            rustix::fs::syncfs(&filler).unwrap();
            copying.join().unwrap()
        });
        assert!(matches!(error.kind(), CopyErrorKind::InsufficientSpace(_)));
        assert!(error.copied() > 0 && error.copied() < 64 * MIB);
        assert!(!exists(&dst));
    }
}

fn a_copy_that_would_go_below_the_free_space_floor_fails(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name) + 128 * MIB);
    let (src, dst) = (small.root.join("src"), small.root.join("dst"));
    dense_file(&src, 48 * MIB);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    let stat = rustix::fs::statvfs(&small.root).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let floor = FreeSpaceFloor::of_bytes;
    for function in ALL {
        let clones = fs.clones(function);
        // Half of the bytes fit above the floor; a clone needs none.
        let options = CopyOptions::new()
            .limits(Limits::new().free_space_floor(floor(free - 24 * MIB)))
            .max_workers(ONE_WORKER);
        let result = function.call(&options, &src, &dst);
        if clones {
            assert_eq!(result.unwrap().method, CopyMethod::Reflink);
            fs::remove_file(&dst).unwrap();
        } else {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::InsufficientSpace(_)));
            // Without a block map, it may not be known before how much of the source was written.
            let refused_before = error.copied() == 0;
            assert!(refused_before || !fs.has_fiemap(), "{}", error.copied());
        }
        assert_eq!(
            names(&small.root)
                .iter()
                .filter(|name| *name != "lost+found")
                .count(),
            1
        );

        // The free space is below the floor already.
        let options =
            CopyOptions::new().limits(Limits::new().free_space_floor(floor(free + 64 * MIB)));
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::InsufficientSpace(_)));
        assert!(!exists(&dst));
    }
    // All bytes fit above the floor.
    let options = CopyOptions::new().limits(Limits::new().free_space_floor(floor(free - 64 * MIB)));
    Function::Sparse.call(&options, &src, &dst).unwrap();
}

fn a_copy_past_its_deadline_is_not_published(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 64 * MIB);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    // 64 s at this rate, and the deadline comes after 200 ms.
    let rate = CopyRate::new(NonZero::new(MIB).unwrap());
    for function in ALL {
        if fs.clones(function) {
            continue;
        }
        let options = CopyOptions::new()
            .limits(Limits::new().rate(rate.clone()))
            .max_workers(ONE_WORKER)
            .deadline(Instant::now() + Duration::from_millis(200));
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::TimedOut), "{error}");
        assert!(error.copied() < 64 * MIB);
        assert_eq!(names(dir.path()), ["src"]);
    }
    for function in ALL {
        let options = CopyOptions::new().deadline(Instant::now());
        let error = function.call(&options, &src, &dst).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::TimedOut), "{error}");
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// Checks the least time only: a copy may be slower than its rate.
fn a_rate_limits_the_sum_of_its_copies(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, 4 * MIB);
    let rate = CopyRate::new(NonZero::new(16 * MIB).unwrap());
    let options = CopyOptions::new()
        .limits(Limits::new().rate(rate))
        .durable(false)
        .max_workers(TWO_WORKERS);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let dst = dir.path().join(name);
            let (options, src) = (&options, &src);
            scope.spawn(move || Function::Sparse.call(options, src, &dst).unwrap());
        }
    });
    // The rate delays all chunks but the first.
    let least = Duration::from_secs_f64((8.0 - 0.25) / 16.0);
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
}

fn at_a_low_rate_only_one_block_is_copied_at_once(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 64 * KIB);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    for function in [Function::FastWithoutClone, Function::Sparse] {
        // The second block may be read after more than an hour.
        let rate = CopyRate::new(NonZero::new(1).unwrap());
        let control = CopyControl::new();
        let options = CopyOptions::new()
            .limits(Limits::new().rate(rate))
            .control(control.clone());
        let error = std::thread::scope(|scope| {
            let copying = scope.spawn(|| function.call(&options, &src, &dst).unwrap_err());
            while control.copied() == 0 && !copying.is_finished() {
                std::thread::yield_now();
            }
            assert!(control.cancel());
            copying.join().unwrap()
        });
        assert!(matches!(error.kind(), CopyErrorKind::Cancelled), "{error}");
        assert_eq!(error.copied(), 4 * KIB);
    }
}

fn a_source_with_too_many_extents_is_not_cloned(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let extents: Vec<_> = (0..10)
        .map(|i| i * 128 * KIB..i * 128 * KIB + 64 * KIB)
        .collect();
    sparse_file(&src, 2 * MIB, &extents);
    fs::File::open(&src).unwrap().sync_all().unwrap();
    let options = CopyOptions::new().replace(true);
    let at_most = |extents| {
        options
            .clone()
            .limits(Limits::new().max_clone_extents(extents))
    };
    let report = at_most(10).fast_copy(&src, &dst).unwrap();
    assert_eq!(report.method, CopyMethod::Reflink);
    let report = at_most(9).fast_copy(&src, &dst).unwrap();
    assert_ne!(report.method, CopyMethod::Reflink);
    assert_same(&src, &dst);
    let error = at_most(9).require_reflink(true).fast_copy(&src, &dst);
    assert!(matches!(
        error.unwrap_err().kind(),
        CopyErrorKind::NotShareable(_)
    ));
}

/// Writes to shared blocks that are in the page cache only. A clone writes them to the disk first, and
/// each becomes an extent.
fn extents_of_dirty_pages_count_for_the_clone_limit(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 16 * MIB);
    let options = CopyOptions::new().replace(true);
    let report = options.fast_copy(&src, &dst).unwrap();
    assert_eq!(report.method, CopyMethod::Reflink);
    let file = fs::File::options().write(true).open(&src).unwrap();
    for i in 0..600 {
        write_data(&file, i * 16 * KIB..i * 16 * KIB + 4 * KIB);
    }
    let few = options.clone().limits(Limits::new().max_clone_extents(500));
    let report = few.fast_copy(&src, &dst).unwrap();
    assert_ne!(report.method, CopyMethod::Reflink);
    assert_same(&src, &dst);
    let many = options.limits(Limits::new().max_clone_extents(5000));
    let report = many.fast_copy(&src, &dst).unwrap();
    assert_eq!(report.method, CopyMethod::Reflink);
    assert_same(&src, &dst);
}

fn the_permissions_mask_removes_permission_bits(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    fs::set_permissions(&src, PermissionsExt::from_mode(0o6755)).unwrap();
    for function in ALL {
        for (mask, mode) in [(0o700, 0o700), (0o666, 0o644), (0, 0), (!0, 0o755)] {
            let dst = dir.path().join("dst");
            let options = CopyOptions::new().replace(true).permissions_mask(mask);
            function.call(&options, &src, &dst).unwrap();
            assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o7777, mode);
        }
    }
}
