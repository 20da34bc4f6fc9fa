//! A copy can be made larger than its source. The added part is a hole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{KIB, MIB, allocated, four_extents, names, write_data};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::ALL;
use wasmtime_fast_copy::{
    CopyErrorKind, CopyMethod, CopyOptions, CopyQuota, Destination, Limits, Sharing, Source,
};

fast_copy_test_support::tests![
    a_copy_is_made_larger_by_a_hole,
    an_enlarged_clone_shares_its_blocks where Reflinks,
    the_hole_of_an_enlarged_copy_is_not_charged where Holes,
    an_enlarged_clone_that_exceeds_the_quota_becomes_a_copy where Reflinks,
    a_size_below_that_of_the_source_is_invalid,
    a_size_beyond_the_limit_is_too_large,
    a_size_beyond_the_limit_of_the_file_system_is_too_large where SizeLimit,
    a_source_that_outgrows_the_size_before_it_is_cloned_has_changed where Reflinks,
];

/// Asserts that `copy` has the content of `source`, and zeros up to `size`.
fn assert_enlarged(source: &Path, copy: &Path, size: u64) {
    let source = fs::read(source).unwrap();
    let mut copy = File::open(copy).unwrap();
    assert_eq!(copy.metadata().unwrap().len(), size);
    let mut start = vec![0; source.len()];
    copy.read_exact(&mut start).unwrap();
    assert!(source == start, "the content differs");
    // The bytes after the source's last block, and the last ones.
    for at in [
        source.len() as u64,
        size.saturating_sub(MIB).max(source.len() as u64),
    ] {
        copy.seek(SeekFrom::Start(at)).unwrap();
        let mut rest = Vec::new();
        (&mut copy).take(MIB).read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len() as u64, (size - at).min(MIB));
        assert!(rest.iter().all(|&byte| byte == 0), "no zeros at {at}");
    }
}

fn a_copy_is_made_larger_by_a_hole(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    for source_size in [0, 10_001, 16 * MIB] {
        if source_size < MIB {
            let file = File::create(&src).unwrap();
            write_data(&file, 0..source_size);
        } else {
            four_extents(&src);
        }
        for function in ALL {
            for size in [source_size, source_size + 1, 40 * MIB] {
                let options = CopyOptions::new().size(size).replace(true);
                let report = function.call(&options, &src, &dst).unwrap();
                assert_eq!(report.size, size);
                if fs.has(Feature::Holes) {
                    assert!(!report.notes.holes_not_kept, "{report:?}");
                }
                assert_enlarged(&src, &dst, size);
            }
        }
    }
}

fn an_enlarged_clone_shares_its_blocks(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let options = CopyOptions::new().size(1 << 40).require_reflink(true);
    let report = options.fast_copy(&src, &dst).unwrap();
    assert_eq!((report.method, report.copied), (CopyMethod::Reflink, 0));
    assert_eq!(report.size, 1 << 40);
    assert_enlarged(&src, &dst, 1 << 40);
}

fn the_hole_of_an_enlarged_copy_is_not_charged(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    File::open(&src).unwrap().sync_all().unwrap();
    for function in ALL {
        let quota = CopyQuota::new(MIB);
        let options = CopyOptions::new()
            .size(64 * MIB)
            .replace(true)
            .limits(Limits::new().quota(quota.clone()));
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(report.allocated < MIB, "{report:?}");
        assert_eq!(quota.used(), report.allocated.max(report.copied));
        assert!(allocated(&dst) < MIB);
    }
}

/// On XFS the last block of the clone and some blocks beside it are allocated when it is extended.
fn an_enlarged_clone_that_exceeds_the_quota_becomes_a_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    write_data(&File::create(&src).unwrap(), 0..10_001);
    File::open(&src).unwrap().sync_all().unwrap();
    for limit in [16 * KIB, 256 * KIB] {
        let quota = CopyQuota::new(limit);
        let options = CopyOptions::new()
            .size(MIB)
            .replace(true)
            .limits(Limits::new().quota(quota.clone()));
        let report = options.fast_copy(&src, &dst).unwrap();
        assert_eq!(quota.used(), report.allocated.max(report.copied));
        assert_eq!(quota.reserved(), 0);
        assert_enlarged(&src, &dst, MIB);
    }
}

fn a_size_below_that_of_the_source_is_invalid(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in ALL {
        for size in [0, 16 * MIB - 1] {
            let options = CopyOptions::new().size(size);
            let error = function.call(&options, &src, &dst).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::Invalid(_)), "{error}");
            assert_eq!(names(dir.path()), ["src"]);
        }
    }
}

fn a_size_beyond_the_limit_is_too_large(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in ALL {
        let options = CopyOptions::new()
            .size(32 * MIB + 1)
            .limits(Limits::new().max_size(32 * MIB));
        let error = function.call(&options, &src, &dst).unwrap_err();
        let size = 32 * MIB + 1;
        assert_eq!(error.operand(), None);
        assert!(
            matches!(error.kind(), CopyErrorKind::FileTooLarge { size: found, .. } if *found == size),
            "{error}"
        );
        for size in [1 << 63, u64::MAX] {
            let options = CopyOptions::new().size(size);
            let error = function.call(&options, &src, &dst).unwrap_err();
            assert!(matches!(error.kind(), CopyErrorKind::FileTooLarge { .. }));
        }
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_size_beyond_the_limit_of_the_file_system_is_too_large(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    for function in ALL {
        let options = CopyOptions::new().size(20 << 40);
        let error = function.call(&options, &src, &dst).unwrap_err();
        // The engine knows the limit of FAT and does not ask the system. On exFAT, a copy of this size would
        // take as much space, which is what is checked first.
        let error = io::Error::from(error);
        let has_no_room = !fs.has(Feature::Holes) && error.kind() == ErrorKind::StorageFull;
        assert!(
            has_no_room || error.kind() == ErrorKind::FileTooLarge,
            "{error}"
        );
        assert_eq!(names(dir.path()), ["src"]);
    }
}

fn a_source_that_outgrows_the_size_before_it_is_cloned_has_changed(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    four_extents(&src);
    let source = Source::open(&src, true).unwrap();
    File::options()
        .write(true)
        .open(&src)
        .unwrap()
        .set_len(17 * MIB)
        .unwrap();
    let destination = Destination::open(&dst).unwrap();
    let options = CopyOptions::new().size(16 * MIB);
    let copied = options.copy(&source, &destination, Sharing::Allowed, &|_| ());
    let error = copied.unwrap_err();
    assert!(
        matches!(error.kind(), CopyErrorKind::SourceChanged),
        "{error}"
    );
    assert_eq!(names(dir.path()), ["src"]);
}
