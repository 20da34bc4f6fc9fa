//! Contract line 8: holes are kept, and preallocated blocks become holes.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{
    GIB, KIB, MIB, allocated, assert_allocated_at_most, assert_same, data_ranges, dense_file,
    four_extents, names, sparse_file, write_data,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function, ONE_WORKER};
use fast_copy_test_support::program::run;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyMethod, CopyOptions, CopyReport};

fast_copy_test_support::tests![
    a_copy_has_data_and_holes_where_its_source_has_them where Holes,
    data_at_unaligned_offsets_is_copied where Holes,
    a_copy_of_a_hole_allocates_nothing where Holes,
    a_hole_at_the_end_is_kept where Holes,
    many_patterns_of_data_and_holes_are_copied,
    a_copy_of_a_copy_equals_the_first_source where Holes,
    dirty_pages_are_copied where Holes,
    cached_preallocated_blocks_become_holes where Holes and Preallocation,
    preallocated_blocks_beyond_the_end_are_not_copied where PreallocationBeyondEnd,
    dirty_pages_on_preallocated_blocks_are_copied where Holes and Preallocation,
    preallocated_blocks_read_through_a_mapping_become_holes where Holes and Preallocation,
    preallocated_blocks_become_holes_without_fiemap where Holes and Preallocation,
    dig_holes_turns_written_zeros_into_holes where Holes,
    require_reflink_shares_blocks_or_fails,
    sparse_copy_shares_no_blocks,
    a_sparse_tebibyte_is_copied_by_its_data where Holes,
];

/// Synchronises the source, copies it, and checks the method and what [`copy_dirty_and_check`] does.
fn copy_and_check(
    fs: &FileSystem,
    function: Function,
    src: &Path,
    dst: &Path,
    data: u64,
) -> CopyReport {
    File::open(src).unwrap().sync_all().unwrap();
    let report = copy_dirty_and_check(function, src, dst, data);
    let to_move = allocated(src).min(report.size);
    let offloads = fs.can_offload() && to_move >= 256 * KIB;
    let expected = match function {
        Function::Sparse | Function::SparseTwoThreads => CopyMethod::Copy,
        _ if fs.clones(function) => CopyMethod::Reflink,
        // A source without blocks has no extents, so it doesn't exceed the limit of 0.
        Function::FastWithoutClone if fs.reflinks() && allocated(src) == 0 => CopyMethod::Reflink,
        _ if offloads => CopyMethod::Offload,
        _ => CopyMethod::Copy,
    };
    assert_eq!(report.method, expected, "{function:?}");
    report
}

/// Copies, and checks the content and the report. Unless the copy is a clone, at most `data` bytes may be
/// allocated.
fn copy_dirty_and_check(function: Function, src: &Path, dst: &Path, data: u64) -> CopyReport {
    let options = CopyOptions::new().replace(true).max_workers(ONE_WORKER);
    let report = function.call(&options, src, dst).unwrap();
    assert_same(src, dst);
    assert_eq!(report.size, fs::metadata(src).unwrap().len());
    if report.method != CopyMethod::Reflink {
        assert_allocated_at_most(dst, data);
        assert!(report.copied <= data, "{} of {data} bytes", report.copied);
    }
    assert_eq!(report.allocated, allocated(dst));
    report
}

fn a_copy_has_data_and_holes_where_its_source_has_them(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in ALL {
        copy_and_check(fs, function, &src, &dst, 256 * KIB);
        let data = data_ranges(&File::open(&dst).unwrap());
        let expected: Vec<Range<u64>> = (0..4)
            .map(|i| i * 4 * MIB..i * 4 * MIB + 64 * KIB)
            .collect();
        assert_eq!(data, expected);
    }
}

fn data_at_unaligned_offsets_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let data = [
        1..2,
        4095..4097,
        MIB + 1..MIB + 70_000,
        2 * GIB - 3..2 * GIB + 5,
        4 * GIB - 1..4 * GIB + 300_001,
        8 * GIB - 4097..8 * GIB - 4000,
        8 * GIB - 1..8 * GIB + 1,
    ];
    sparse_file(&src, 8 * GIB + 1, &data);
    let blocks: u64 = allocated(&src);
    for function in ALL {
        copy_and_check(fs, function, &src, &dst, blocks);
    }
}

fn a_copy_of_a_hole_allocates_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let sizes = [1, 4096, 128 * KIB + 1, GIB];
    let inline = usize::from(fs.has(Feature::InlineHoles));
    for &size in &sizes[inline..] {
        sparse_file(&src, size, &[]);
        for function in ALL {
            let report = copy_and_check(fs, function, &src, &dst, 0);
            assert_eq!(report.copied, 0);
        }
    }
}

fn a_hole_at_the_end_is_kept(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    sparse_file(&src, MIB + 1, &[0..1]);
    for function in ALL {
        copy_and_check(fs, function, &src, &dst, 4096);
    }
}

fn many_patterns_of_data_and_holes_are_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let dst = dir.path().join("dst");
    for unit in [1, 3, 7, 21, 64, 300].map(|n| n * KIB) {
        for phase in [0, 1] {
            for count in [1, 2, 31] {
                let data: Vec<_> = (0..count)
                    .map(|i| (2 * i + phase) * unit..(2 * i + phase + 1) * unit)
                    .collect();
                let src = dir.path().join(format!("{unit}-{phase}-{count}"));
                sparse_file(&src, 2 * count * unit + phase, &data);
                File::open(&src).unwrap().sync_all().unwrap();
                for function in ALL {
                    let options = CopyOptions::new().replace(true).durable(false);
                    function.call(&options, &src, &dst).unwrap();
                    assert_same(&src, &dst);
                }
            }
        }
    }
}

fn a_copy_of_a_copy_equals_the_first_source(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    four_extents(&at("src"));
    for function in ALL {
        copy_and_check(fs, function, &at("src"), &at("first"), 256 * KIB);
        copy_and_check(fs, function, &at("first"), &at("second"), 256 * KIB);
        assert_same(&at("src"), &at("second"));
    }
}

fn dirty_pages_are_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for function in ALL {
        for i in 0..5 {
            let _ = fs::remove_file(&src);
            sparse_file(&src, 3 * MIB, &[i * 70_000..i * 70_000 + 100, MIB..MIB + i]);
            copy_dirty_and_check(function, &src, &dst, 64 * KIB);
        }
    }
}

/// Makes a file of `size` preallocated bytes, and writes and synchronises the ranges `data`.
fn preallocated(path: &Path, size: u64, data: &[Range<u64>]) {
    run(Command::new("fallocate")
        .args(["-l", &size.to_string()])
        .arg(path));
    let file = File::options().write(true).open(path).unwrap();
    for range in data {
        write_data(&file, range.clone());
    }
    file.sync_all().unwrap();
}

/// Reads a file, which brings all of it into the page cache.
fn warm(path: &Path) {
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; MIB as usize];
    while file.read(&mut buffer).unwrap() > 0 {}
}

/// Returns ranges of one MiB, one in every 16 MiB.
fn one_in_sixteen(size: u64) -> Vec<Range<u64>> {
    (0..size / (16 * MIB))
        .map(|i| i * 16 * MIB + 5 * MIB..i * 16 * MIB + 6 * MIB)
        .collect()
}

fn cached_preallocated_blocks_become_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 256 * MIB, &one_in_sixteen(256 * MIB));
    for function in ALL {
        warm(&src);
        copy_and_check(fs, function, &src, &dst, 16 * MIB);
    }
}

fn preallocated_blocks_beyond_the_end_are_not_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 2 * MIB);
    run(Command::new("fallocate")
        .args(["-n", "-o", "4MiB", "-l", "1MiB"])
        .arg(&src));
    copy_and_check(fs, Function::Sparse, &src, &dst, 2 * MIB);
}

fn dirty_pages_on_preallocated_blocks_are_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 8 * MIB, &[]);
    let file = File::options().write(true).open(&src).unwrap();
    for function in ALL {
        // Until writeback, FIEMAP reports their blocks as unwritten.
        write_data(&file, 100..200);
        write_data(&file, 5 * MIB + 1..5 * MIB + 40_000);
        copy_dirty_and_check(function, &src, &dst, 128 * KIB);
    }
}

/// tmpfs reports preallocated blocks as data once they were read through a mapping.
#[expect(
    unsafe_code,
    reason = "a mapping of a file, which other processes could change"
)]
fn preallocated_blocks_read_through_a_mapping_become_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 64 * MIB, &one_in_sixteen(64 * MIB));
    // SAFETY: no other process writes to the file.
    let mapping = unsafe { memmap2::Mmap::map(&File::open(&src).unwrap()) }.unwrap();
    let sum: u64 = mapping
        .iter()
        .step_by(4096)
        .map(|&byte| u64::from(byte))
        .sum();
    assert!(sum > 0);
    copy_and_check(fs, Function::Sparse, &src, &dst, 4 * MIB);
    if !fs.reflinks() {
        copy_and_check(fs, Function::Fast, &src, &dst, 4 * MIB);
    }
}

fn preallocated_blocks_become_holes_without_fiemap(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 64 * MIB, &one_in_sixteen(64 * MIB));
    for function in ALL {
        warm(&src);
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        copy.run_injected(&["ioctl:error=EOPNOTSUPP"])
            .assert_method("Copy");
        assert_same(&src, &dst);
        assert_allocated_at_most(&dst, 4 * MIB);
    }
}

fn dig_holes_turns_written_zeros_into_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    fs::write(&src, vec![0; 8 * MIB as usize]).unwrap();
    let file = File::options().write(true).open(&src).unwrap();
    write_data(&file, 3 * MIB..3 * MIB + 10);
    file.sync_all().unwrap();
    let options = CopyOptions::new().replace(true).dig_holes(true);
    for function in ALL {
        let report = function.call(&options, &src, &dst).unwrap();
        assert_same(&src, &dst);
        if report.method != CopyMethod::Reflink {
            assert_allocated_at_most(&dst, 4096);
        }
    }
    // Without the option, written zeros stay allocated where FIEMAP tells them from unwritten blocks.
    if fs.has_fiemap() {
        let options = CopyOptions::new().replace(true);
        options.sparse_copy(&src, &dst).unwrap();
        assert!(allocated(&dst) >= 8 * MIB);
    }
}

fn require_reflink_shares_blocks_or_fails(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 64 * MIB);
    let options = CopyOptions::new().require_reflink(true);
    if !fs.reflinks() {
        let error = options.fast_copy(&src, &dst).unwrap_err();
        assert_eq!(
            std::io::Error::from(error).kind(),
            std::io::ErrorKind::Unsupported
        );
        assert_eq!(names(dir.path()), ["src"]);
        return;
    }
    let report = options.fast_copy(&src, &dst).unwrap();
    assert_eq!((report.method, report.copied), (CopyMethod::Reflink, 0));
    assert_same(&src, &dst);
    if fs.has_fiemap() {
        assert!(shares_blocks(&dst));
    }
}

fn sparse_copy_shares_no_blocks(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 8 * MIB);
    let (outcome, calls) = Copy::new(Function::Sparse, &src, &dst).trace();
    outcome.assert_method("Copy");
    // One of no bytes finds out whether the source is a swap file.
    let shares = |line: &String| {
        line.contains("FICLONE") || line.contains("copy_file_range(") && !line.contains(", 0, 0)")
    };
    assert!(!calls.iter().any(shares), "{calls:#?}");
    if fs.has_fiemap() {
        assert!(!shares_blocks(&dst));
    }
}

/// Whether a file shares an extent with another file.
fn shares_blocks(path: &Path) -> bool {
    let output = Command::new("filefrag")
        .arg("-v")
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).contains("shared")
}

fn a_sparse_tebibyte_is_copied_by_its_data(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let size = 1024 * GIB;
    let data: Vec<_> = (0..64)
        .map(|i| i * 16 * GIB + 12_345..i * 16 * GIB + 12_345 + 64 * KIB)
        .collect();
    sparse_file(&src, size, &data);
    let blocks = allocated(&src);
    for function in ALL {
        copy_and_check(fs, function, &src, &dst, blocks);
    }
}
