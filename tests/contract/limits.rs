//! Contract lines 10, 11 and 13: permission bits, file sizes, and memory.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::{
    GIB, KIB, MIB, access_control_list, assert_same, dense_file, exists, names, sparse_file,
    text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use wasmtime_fast_copy::{CopyErrorKind, CopyOptions, Limits};

fast_copy_test_support::tests![
    permission_bits_are_copied_without_setuid_setgid_and_sticky where Permissions,
    the_umask_is_not_applied where Permissions,
    the_mask_of_an_access_control_list_does_not_widen_the_groups_permissions where AccessControlLists,
    a_refused_fchmod_leaves_the_mode_of_the_staged_file where Permissions,
    owner_and_times_are_not_copied where Owners,
    extended_attributes_are_not_copied where Attributes,
    the_staged_file_has_mode_0600 where Permissions and UnnamedFiles,
    a_copy_beyond_rlimit_fsize_fails_without_sigxfsz,
    a_refused_query_does_not_fail_a_copy,
    a_source_above_max_size_is_file_too_large,
    a_copy_too_large_for_the_file_system_fails_with_efbig where SizeLimit and Holes,
    a_copy_without_memory_for_its_buffer_is_an_error,
    memory_does_not_grow_with_the_number_of_extents where Holes,
    memory_does_not_grow_with_the_size where Holes,
];

fn permission_bits_are_copied_without_setuid_setgid_and_sticky(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    for mode in [0o6755, 0o7777, 0o1600, 0o444, 0o000, 0o640] {
        fs::set_permissions(&src, PermissionsExt::from_mode(mode)).unwrap();
        if mode == 0 && fs::File::open(&src).is_err() {
            // Only root may read it.
            continue;
        }
        for function in ALL {
            let dst = dir.path().join("dst");
            let options = CopyOptions::new().replace(true);
            function.call(&options, &src, &dst).unwrap();
            let found = fs::metadata(&dst).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode & 0o777);
        }
    }
}

fn the_umask_is_not_applied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    fs::set_permissions(&src, PermissionsExt::from_mode(0o666)).unwrap();
    // Shows that the umask of the tests removes some of these bits.
    let plain = text_file(dir.path(), "plain", "text");
    assert_ne!(fs::metadata(plain).unwrap().mode() & 0o777, 0o666);
    for function in ALL {
        let dst = dir.path().join("dst");
        let options = CopyOptions::new().replace(true);
        function.call(&options, &src, &dst).unwrap();
        assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o777, 0o666);
    }
}

/// With an access control list, the group bits of the mode are the mask, not the group's permissions
/// (acl(5)).
fn the_mask_of_an_access_control_list_does_not_widen_the_groups_permissions(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let list = access_control_list();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&src, "system.posix_acl_access", &list, flags).unwrap();
    assert_eq!(fs::metadata(&src).unwrap().mode() & 0o777, 0o660);
    for function in ALL {
        let dst = dir.path().join(format!("{function:?}"));
        function.call(&CopyOptions::new(), &src, &dst).unwrap();
        assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o777, 0o600);
    }
}

/// Some file systems refuse to set permissions.
fn a_refused_fchmod_leaves_the_mode_of_the_staged_file(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    for function in ALL {
        for errno in ["EPERM", "EOPNOTSUPP", "ENOSYS"] {
            let dst = dir.path().join("dst");
            let copy = Copy::new(function, &src, &dst);
            let injection = format!("fchmod:error={errno}");
            let outcome = copy.run_injected(&[&injection]);
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o777, 0o600);
            fs::remove_file(&dst).unwrap();

            // The staged file's 0600 is wider than 0400.
            fs::set_permissions(&src, PermissionsExt::from_mode(0o400)).unwrap();
            let strict = copy.options(&["refuse-wider-permissions"]);
            strict
                .run_injected(&[&injection])
                .assert_error("WiderPermissions");
            assert!(!exists(&dst));
            fs::set_permissions(&src, PermissionsExt::from_mode(0o644)).unwrap();
        }
    }
}

fn owner_and_times_are_not_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    chown(&src, Some(1234), Some(1234)).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&src).unwrap().set_modified(old).unwrap();
    for function in ALL {
        let dst = dir.path().join(format!("{function:?}"));
        function.call(&CopyOptions::new(), &src, &dst).unwrap();
        let metadata = fs::metadata(&dst).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
        assert_ne!(metadata.modified().unwrap(), old);
    }
}

/// In particular no file capability, which would give its privileges to any user that runs the copy.
fn extended_attributes_are_not_copied(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    // CAP_NET_RAW, effective (include/uapi/linux/capability.h, VFS_CAP_REVISION_2).
    let capability: Vec<u8> = [0x0200_0001_u32, 1 << 13, 0, 0, 0]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let mut attributes = vec![("user.x", b"value".as_slice())];
    if fs.has(Feature::PrivilegedAttributes) {
        attributes.extend([
            ("trusted.x", b"value".as_slice()),
            ("security.capability", &capability),
        ]);
    }
    let flags = rustix::fs::XattrFlags::empty();
    for &(name, value) in &attributes {
        rustix::fs::setxattr(&src, name, value, flags).unwrap();
    }
    for function in ALL {
        let dst = dir.path().join(format!("{function:?}"));
        function.call(&CopyOptions::new(), &src, &dst).unwrap();
        for &(name, value) in &attributes {
            let mut found = [0; 64];
            let length = rustix::fs::getxattr(&src, name, &mut found[..]).unwrap();
            assert_eq!(&found[..length], value, "{name}");
            let copied = rustix::fs::getxattr(&dst, name, &mut found[..]);
            assert_eq!(copied, Err(rustix::io::Errno::NODATA), "{name}");
        }
    }
}

fn the_staged_file_has_mode_0600(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, MIB);
    fs::set_permissions(&src, PermissionsExt::from_mode(0o777)).unwrap();
    for function in ALL {
        let copy = Copy::new(function, &src, &dst).options(&["replace"]);
        // The fourth write is the last call before the permission bits are set.
        let without_kernel = ["ioctl:error=EOPNOTSUPP", "copy_file_range:error=EXDEV"];
        let stopped = copy.start_and_stop_at("pwrite64:when=4", &without_kernel);
        let staged = staged_file(stopped.pid(), &src);
        assert_eq!(staged.permissions().mode() & 0o7777, 0o600);
        assert!(matches!(stopped.go_on(), Outcome::Ok(..)));
        assert_eq!(fs::metadata(&dst).unwrap().mode() & 0o7777, 0o777);
    }
}

/// Returns the metadata of the unnamed file that a process has open.
fn staged_file(pid: u32, src: &Path) -> fs::Metadata {
    let src = fs::metadata(src).unwrap();
    // A process can inherit other files that were removed.
    let is_it = |found: &fs::Metadata| {
        let is_unnamed_file = found.is_file() && found.nlink() == 0;
        is_unnamed_file && (found.dev(), found.len()) == (src.dev(), src.len())
    };
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::metadata(fd.unwrap().path()).ok())
        .find(is_it)
        .expect("the staged file")
}

fn a_copy_beyond_rlimit_fsize_fails_without_sigxfsz(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    sparse_file(&src, 8 * MIB, &[0..4096, 5 * MIB..5 * MIB + 4096]);
    for function in ALL {
        let limited = |bytes: u64| {
            let limit = format!("file-size={bytes}");
            Copy::new(function, &src, &dst).options(&[&limit]).run()
        };
        limited(8 * MIB - 1).assert_error("FileTooLarge");
        assert_eq!(names(dir.path()), ["src"]);
        let outcome = limited(8 * MIB);
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_same(&src, &dst);
        fs::remove_file(&dst).unwrap();
    }
}

/// A seccomp filter can refuse each of these. Without an answer there is no limit (`prlimit64`), no second
/// worker (`sched_getaffinity`), no read-ahead, and no early write-back.
fn a_refused_query_does_not_fail_a_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 17 * MIB);
    for call in [
        "prlimit64",
        "sched_getaffinity",
        "fadvise64",
        "sync_file_range",
    ] {
        for errno in ["EPERM", "ENOSYS"] {
            let injection = format!("{call}:error={errno}");
            for function in ALL {
                let outcome = Copy::new(function, &src, &dst).run_injected(&[&injection]);
                assert!(
                    matches!(outcome, Outcome::Ok(..)),
                    "{injection}: {outcome:?}"
                );
                assert_same(&src, &dst);
                fs::remove_file(&dst).unwrap();
            }
        }
    }
}

fn a_source_above_max_size_is_file_too_large(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "12345");
    let dst = dir.path().join("dst");
    for function in ALL {
        let error = function
            .call(
                &CopyOptions::new().limits(Limits::new().max_size(4)),
                &src,
                &dst,
            )
            .unwrap_err();
        assert!(matches!(
            error.kind(),
            CopyErrorKind::FileTooLarge { size: 5, limit: 4 }
        ));
        assert!(!exists(&dst));
        let options = CopyOptions::new()
            .limits(Limits::new().max_size(5))
            .replace(true);
        function.call(&options, &src, &dst).unwrap();
        fs::remove_file(&dst).unwrap();
    }
}

/// The largest file of ext4 has 16 TiB.
fn a_copy_too_large_for_the_file_system_fails_with_efbig(fs: &FileSystem) {
    // The source is on a file system with larger files.
    let dir = fs.dir();
    let dst = dir.path().join("dst");
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let src = shm.path().join("src");
    sparse_file(&src, 20 << 40, &[0..4096]);
    for function in ALL {
        let error = function.call(&CopyOptions::new(), &src, &dst).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
        assert!(names(dir.path()).is_empty());
    }
}

/// Copies a file within a limited address space, and returns the outcome. The limit is exact, other than
/// the kernel's counters of resident memory, which are off by some hundred KiB.
fn copy_within(
    fs: &FileSystem,
    (function, memory): (Function, u64),
    size: u64,
    extents: &[Range<u64>],
) -> Outcome {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    sparse_file(&src, size, extents);
    let memory = format!("memory={memory}");
    let mut options = vec![memory.as_str()];
    if function != Function::SparseTwoThreads {
        options.push("workers=1");
    }
    Copy::new(function, &src, &dst).options(&options).run()
}

/// What a copy needs, in bytes: one buffer of 256 KiB and the program's own heap; with a second worker
/// its buffer and its thread too.
const ENOUGH: [(Function, u64); 2] = [
    (Function::Sparse, 640 * KIB),
    (Function::SparseTwoThreads, 4 * MIB),
];

/// Without this, the other two tests would not show that memory is limited at all.
fn a_copy_without_memory_for_its_buffer_is_an_error(fs: &FileSystem) {
    let limit = (Function::Sparse, 192 * KIB);
    copy_within(fs, limit, 2 * MIB, &[0..2 * MIB]).assert_error("InsufficientMemory");
}

fn memory_does_not_grow_with_the_number_of_extents(fs: &FileSystem) {
    let extents: Vec<_> = (0..60_000)
        .map(|i| i * 8 * KIB..i * 8 * KIB + 4 * KIB)
        .collect();
    for enough in ENOUGH {
        copy_within(fs, enough, 60_000 * 8 * KIB, &extents).assert_method("Copy");
    }
}

fn memory_does_not_grow_with_the_size(fs: &FileSystem) {
    for enough in ENOUGH {
        copy_within(fs, enough, 1024 * GIB, &[MIB..65 * MIB]).assert_method("Copy");
    }
}
