//! `data_ranges` and `can_reflink`: what a copy would do, without a copy.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{KIB, MIB, dense_file, names, sparse_file, write_data};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::program::run;
use fast_copy_test_support::user_namespace::is_privileged;
use wasmtime_fast_copy::{
    CopyControl, CopyErrorKind, CopyOptions, DataRange, Directory, ReflinkSupport, Source,
    can_reflink, data_ranges,
};

fast_copy_test_support::tests![
    the_ranges_are_the_data_that_was_written where Holes,
    everything_outside_the_ranges_is_zeros,
    ranges_begin_where_the_caller_asks where Holes,
    a_long_list_is_returned_in_parts where Holes,
    preallocated_blocks_are_no_data where Holes and BlockMap and Preallocation,
    dirty_pages_on_preallocated_blocks_are_data where Preallocation,
    a_cancelled_or_late_call_fails,
    files_in_one_file_system_share_blocks_if_it_can,
    files_in_two_file_systems_share_no_blocks where UnnamedFiles,
    files_in_two_subvolumes_share_blocks where BtrfsFlags and UnnamedFiles,
    where_no_file_can_be_without_a_name_it_is_unknown,
];

fn ranges(path: &Path, start: u64, max: usize) -> Vec<(u64, u64)> {
    let source = Source::open(path, true).unwrap();
    let found = data_ranges(&source, start, max, &CopyOptions::new()).unwrap();
    found
        .into_iter()
        .map(|DataRange { offset, length }| (offset, length))
        .collect()
}

fn synced(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn the_ranges_are_the_data_that_was_written(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    sparse_file(
        &src,
        64 * MIB,
        &[0..64 * KIB, 8 * MIB..9 * MIB, 64 * MIB - 64 * KIB..64 * MIB],
    );
    synced(&src);
    let expected = [
        (0, 64 * KIB),
        (8 * MIB, MIB),
        (64 * MIB - 64 * KIB, 64 * KIB),
    ];
    assert_eq!(ranges(&src, 0, 1024), expected);
    dense_file(&src, 10_001);
    assert_eq!(ranges(&src, 0, 1024), [(0, 10_001)]);
    fs::write(&src, "").unwrap();
    assert_eq!(ranges(&src, 0, 1024), []);
}

fn everything_outside_the_ranges_is_zeros(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    // Written, and not synchronised.
    let pieces: Vec<_> = (1..40)
        .map(|i| i * 100_001..i * 100_001 + i * 1000)
        .collect();
    sparse_file(&src, 5 * MIB, &pieces);
    let mut content = fs::read(&src).unwrap();
    let mut end = 0;
    for (offset, length) in ranges(&src, 0, 1024) {
        assert!(offset >= end && length > 0);
        end = offset + length;
        content[offset as usize..end as usize].fill(0);
    }
    assert!(end <= 5 * MIB);
    assert!(
        content.iter().all(|&byte| byte == 0),
        "data outside the ranges"
    );
}

fn ranges_begin_where_the_caller_asks(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    sparse_file(&src, 16 * MIB, &[0..MIB, 8 * MIB..9 * MIB]);
    synced(&src);
    let second = (8 * MIB, MIB);
    assert_eq!(ranges(&src, 100, 9), [(100, MIB - 100), second]);
    assert_eq!(ranges(&src, MIB, 9), [second]);
    assert_eq!(ranges(&src, 8 * MIB + 5, 9), [(8 * MIB + 5, MIB - 5)]);
    for start in [9 * MIB, 16 * MIB, 16 * MIB + 1, u64::MAX] {
        assert_eq!(ranges(&src, start, 9), [], "{start}");
    }
}

fn a_long_list_is_returned_in_parts(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let pieces: Vec<_> = (0..500)
        .map(|i| i * 128 * KIB..i * 128 * KIB + 64 * KIB)
        .collect();
    sparse_file(&src, 500 * 128 * KIB, &pieces);
    synced(&src);
    let whole = ranges(&src, 0, 1024);
    assert_eq!(whole.len(), 500);
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let part = ranges(&src, start, 7);
        let Some((offset, length)) = part.last() else {
            break;
        };
        start = offset + length;
        parts.extend(part);
    }
    assert_eq!(parts, whole);
    assert_eq!(ranges(&src, 0, 0), []);
}

fn preallocated(path: &Path) -> File {
    run(Command::new("fallocate").args(["-l", "16MiB"]).arg(path));
    File::options().read(true).write(true).open(path).unwrap()
}

fn preallocated_blocks_are_no_data(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let file = preallocated(&src);
    write_data(&file, 4 * MIB..5 * MIB);
    file.sync_all().unwrap();
    // The page cache holds all of it, so that `SEEK_DATA` may report it.
    let mut content = Vec::new();
    File::open(&src).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(ranges(&src, 0, 1024), [(4 * MIB, MIB)]);
}

fn dirty_pages_on_preallocated_blocks_are_data(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let file = preallocated(&src);
    file.sync_all().unwrap();
    let mut content = Vec::new();
    File::open(&src).unwrap().read_to_end(&mut content).unwrap();
    file.write_all_at(b"data", 7 * MIB + 5).unwrap();
    let found = ranges(&src, 0, 1024);
    let holds =
        |&(offset, length): &(u64, u64)| offset <= 7 * MIB + 5 && 7 * MIB + 9 <= offset + length;
    assert!(found.iter().any(holds), "{found:?}");
    // The block map of CIFS does not tell preallocated blocks from written ones.
    if fs.has(Feature::BlockMap) && fs.has(Feature::Holes) {
        // Before Linux 6.6 a write makes a whole folio of the page cache dirty, of up to 2 MiB on XFS.
        let data: u64 = found.iter().map(|(_, length)| length).sum();
        assert!(found.len() == 1 && data <= 2 * MIB, "{found:?}");
    }
}

fn a_cancelled_or_late_call_fails(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, MIB);
    let source = Source::open(&src, true).unwrap();
    let control = CopyControl::new();
    control.cancel();
    let cancelled = CopyOptions::new().control(control);
    let error = data_ranges(&source, 0, 9, &cancelled).unwrap_err();
    assert!(matches!(error.kind(), CopyErrorKind::Cancelled));
    let late = CopyOptions::new().deadline(Instant::now());
    let error = data_ranges(&source, 0, 9, &late).unwrap_err();
    assert!(matches!(error.kind(), CopyErrorKind::TimedOut));
}

fn open(path: &Path) -> Directory {
    File::open(path).unwrap().into()
}

fn files_in_one_file_system_share_blocks_if_it_can(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let (top, sub) = (open(dir.path()), open(&dir.path().join("sub")));
    let expected = match (fs.has(Feature::UnnamedFiles), fs.has(Feature::Reflinks)) {
        (false, _) => ReflinkSupport::Unknown,
        (true, true) => ReflinkSupport::Yes,
        (true, false) => ReflinkSupport::No,
    };
    assert_eq!(can_reflink(&top, &sub).unwrap(), expected);
    assert_eq!(can_reflink(&sub, &top).unwrap(), expected);
    assert_eq!(names(dir.path()), ["sub"]);
    assert_eq!(names(&dir.path().join("sub")).len(), 0);
}

fn files_in_two_file_systems_share_no_blocks(fs: &FileSystem) {
    let dir = fs.dir();
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let (here, there) = (open(dir.path()), open(other.path()));
    assert_eq!(can_reflink(&here, &there).unwrap(), ReflinkSupport::No);
    let found = can_reflink(&there, &here).unwrap();
    let expected = match fs.has(Feature::UnnamedFiles) {
        false => ReflinkSupport::Unknown,
        true => ReflinkSupport::No,
    };
    assert_eq!(found, expected);
    assert_eq!(names(dir.path()).len() + names(other.path()).len(), 0);
}

fn files_in_two_subvolumes_share_blocks(fs: &FileSystem) {
    let dir = fs.dir();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    for path in [&a, &b] {
        run(Command::new("btrfs")
            .args(["-q", "subvolume", "create"])
            .arg(path));
    }
    let found = can_reflink(&open(&a), &open(&b)).unwrap();
    // An ordinary user may remove an empty subvolume as a directory only.
    for path in [&a, &b] {
        fs::remove_dir(path).unwrap();
    }
    assert_eq!(found, ReflinkSupport::Yes);
}

/// Files of procfs have names. An ordinary user may not make any there.
fn where_no_file_can_be_without_a_name_it_is_unknown(fs: &FileSystem) {
    let dir = fs.dir();
    let found = can_reflink(&open(dir.path()), &open(Path::new("/proc")));
    match is_privileged() {
        true => assert_eq!(found.unwrap(), ReflinkSupport::Unknown),
        false => assert_eq!(found.unwrap_err().kind(), ErrorKind::PermissionDenied),
    }
}
