//! Contract line 8: holes stay holes, and so do blocks that nobody ever wrote.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use fast_copy_test_support::files::{
    GIB, KIB, MIB, allocated, assert_allocated_at_most, assert_same, data_ranges, dense_file,
    four_extents, names, sparse_file, write_data,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::program::run;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyMethod, CopyOptions, CopyReport};

fast_copy_test_support::tests![
    holes_and_data_are_kept,
    data_at_odd_offsets_in_8_gib,
    a_file_that_is_all_hole,
    a_hole_at_the_end_with_data_before,
    many_patterns_of_data_and_holes,
    a_copy_of_a_copy_is_the_same,
    data_that_is_not_on_the_disk_yet_is_copied,
    preallocated_blocks_in_the_page_cache_stay_holes,
    preallocated_blocks_beyond_the_end_are_left_out,
    written_data_in_preallocated_blocks_is_copied,
    mapped_preallocated_blocks_stay_holes,
    without_fiemap_preallocated_blocks_stay_holes,
    zeros_become_holes_where_asked_for,
    a_clone_shares_its_sources_blocks,
    a_sparse_copy_shares_nothing,
    one_tib_is_copied_by_its_data,
];

/// Copies what is on the disk, checks that it was by the way that is meant, and then as
/// [`copy_dirty_and_check`].
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
    let offloads = fs.has_fiemap() && to_move >= 256 * KIB;
    let expected = match function {
        Function::Sparse | Function::SparseByTwo => CopyMethod::Copy,
        Function::Fast if fs.reflinks() => CopyMethod::Reflink,
        // Without a block it has no extents, so none too many.
        Function::FastWithoutClone if fs.reflinks() && allocated(src) == 0 => CopyMethod::Reflink,
        _ if offloads => CopyMethod::Offload,
        _ => CopyMethod::Copy,
    };
    assert_eq!(report.method, expected, "{function:?}");
    report
}

/// Copies, checks the content, and that no more than `data` bytes are allocated where bytes were
/// copied.
fn copy_dirty_and_check(function: Function, src: &Path, dst: &Path, data: u64) -> CopyReport {
    let options = CopyOptions::new().replace(true).workers(1);
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

fn holes_and_data_are_kept(fs: &FileSystem) {
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

fn data_at_odd_offsets_in_8_gib(fs: &FileSystem) {
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

fn a_file_that_is_all_hole(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for size in [1, 4096, 128 * KIB + 1, GIB] {
        sparse_file(&src, size, &[]);
        for function in ALL {
            let report = copy_and_check(fs, function, &src, &dst, 0);
            assert_eq!(report.copied, 0);
        }
    }
}

fn a_hole_at_the_end_with_data_before(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    sparse_file(&src, MIB + 1, &[0..1]);
    for function in ALL {
        copy_and_check(fs, function, &src, &dst, 4096);
    }
}

fn many_patterns_of_data_and_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for unit in [1, 3, 7, 21, 64, 300].map(|n| n * KIB) {
        for phase in [0, 1] {
            for count in [1, 2, 31] {
                let data: Vec<_> = (0..count)
                    .map(|i| (2 * i + phase) * unit..(2 * i + phase + 1) * unit)
                    .collect();
                let _ = fs::remove_file(&src);
                sparse_file(&src, 2 * count * unit + phase, &data);
                File::open(&src).unwrap().sync_all().unwrap();
                for function in ALL {
                    let options = CopyOptions::new().replace(true).no_sync(true);
                    function.call(&options, &src, &dst).unwrap();
                    assert_same(&src, &dst);
                }
            }
        }
    }
}

fn a_copy_of_a_copy_is_the_same(fs: &FileSystem) {
    let dir = fs.dir();
    let at = |name: &str| dir.path().join(name);
    four_extents(&at("src"));
    for function in ALL {
        copy_and_check(fs, function, &at("src"), &at("first"), 256 * KIB);
        copy_and_check(fs, function, &at("first"), &at("second"), 256 * KIB);
        assert_same(&at("src"), &at("second"));
    }
}

fn data_that_is_not_on_the_disk_yet_is_copied(fs: &FileSystem) {
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

/// Preallocates `size` bytes, of which `data` are then written and synchronised.
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

/// Reads a file through, so that the page cache holds all of it.
fn warm(path: &Path) {
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; MIB as usize];
    while file.read(&mut buffer).unwrap() > 0 {}
}

/// Every 16 MiB, one MiB.
fn one_in_sixteen(size: u64) -> Vec<Range<u64>> {
    (0..size / (16 * MIB))
        .map(|i| i * 16 * MIB + 5 * MIB..i * 16 * MIB + 6 * MIB)
        .collect()
}

fn preallocated_blocks_in_the_page_cache_stay_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 256 * MIB, &one_in_sixteen(256 * MIB));
    for function in ALL {
        warm(&src);
        copy_and_check(fs, function, &src, &dst, 16 * MIB);
    }
}

fn preallocated_blocks_beyond_the_end_are_left_out(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 2 * MIB);
    run(Command::new("fallocate")
        .args(["-n", "-o", "4MiB", "-l", "1MiB"])
        .arg(&src));
    copy_and_check(fs, Function::Sparse, &src, &dst, 2 * MIB);
}

fn written_data_in_preallocated_blocks_is_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 8 * MIB, &[]);
    let file = File::options().write(true).open(&src).unwrap();
    for function in ALL {
        // Dirty pages on blocks that count as unwritten.
        write_data(&file, 100..200);
        write_data(&file, 5 * MIB + 1..5 * MIB + 40_000);
        copy_dirty_and_check(function, &src, &dst, 128 * KIB);
    }
}

/// On tmpfs a preallocated file counts as data once it was read through a mapping.
#[expect(unsafe_code, reason = "a mapping of a file that others could change")]
fn mapped_preallocated_blocks_stay_holes(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    preallocated(&src, 64 * MIB, &one_in_sixteen(64 * MIB));
    // SAFETY: nobody else knows the file.
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

fn without_fiemap_preallocated_blocks_stay_holes(fs: &FileSystem) {
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

fn zeros_become_holes_where_asked_for(fs: &FileSystem) {
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
    // Without the option, what was written stays written where the file system can tell.
    if fs.has_fiemap() {
        let options = CopyOptions::new().replace(true);
        options.sparse_copy(&src, &dst).unwrap();
        assert!(allocated(&dst) >= 8 * MIB);
    }
}

fn a_clone_shares_its_sources_blocks(fs: &FileSystem) {
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
    assert!(shares_blocks(&dst));
}

fn a_sparse_copy_shares_nothing(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 8 * MIB);
    let (outcome, calls) = Copy::new(Function::Sparse, &src, &dst).trace();
    outcome.assert_method("Copy");
    for call in ["FICLONE", "copy_file_range("] {
        assert!(!calls.iter().any(|line| line.contains(call)), "{call}");
    }
    if fs.has_fiemap() {
        assert!(!shares_blocks(&dst));
    }
}

/// Whether any extent of a file is shared with another file.
fn shares_blocks(path: &Path) -> bool {
    let output = Command::new("filefrag")
        .arg("-v")
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).contains("shared")
}

fn one_tib_is_copied_by_its_data(fs: &FileSystem) {
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
