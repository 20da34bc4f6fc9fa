//! Contract lines 4, 5 and 10 where a file system or a directory lacks what a copy uses elsewhere: links of
//! unnamed files, `RENAME_NOREPLACE`, permission to rename, to list or to set permissions.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fast_copy_test_support::files::{
    MIB, assert_same, assert_text, dense_file, exists, four_extents, names, text_file,
};
use fast_copy_test_support::filesystems::{FileSystem, Mounted};
use fast_copy_test_support::function::{ALL, BOTH, Function};
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::traced::Copy;
use fast_copy_test_support::user_namespace::is_privileged;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use wasmtime_fast_copy::{CopyErrorKind, CopyMethod, CopyOptions, CopyStep};

use crate::staged_names::without_tmpfile;

fast_copy_test_support::tests![
    a_copy_whose_unnamed_file_cannot_be_linked_is_made_under_a_name where UnnamedFiles and NoReplace,
    a_copy_is_published_without_links_and_without_rename_noreplace,
    on_an_old_btrfs_a_copy_in_an_append_only_directory_is_synchronised_twice where BtrfsFlags and InodeFlags and UnnamedFiles and Statx,
    replacing_fails_before_copying_in_an_append_only_directory where UnnamedFiles and InodeFlags and Statx,
    replacing_an_append_only_or_immutable_file_fails_before_copying where InodeFlags and Statx,
    replacing_a_mount_point_fails_before_copying where Mounts and Statx,
    a_durable_copy_needs_no_permission_to_read_its_directory where Permissions and Unprivileged,
    wider_permissions_of_the_file_system_are_reported_or_refused where Permissions,
    a_file_without_copy_on_write_is_cloned where BtrfsFlags,
    zeros_in_compressed_extents_become_holes where BtrfsFlags and BlockMap,
    a_destination_on_hugetlbfs_fails_with_the_cause where Memory and Root,
];

fn a_copy_whose_unnamed_file_cannot_be_linked_is_made_under_a_name(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    dense_file(&src, 300_000);
    // AppArmor; seccomp filters; project boundaries.
    for error in ["ENOENT", "EPERM", "EACCES", "ENOSYS", "EXDEV"] {
        let injection = format!("linkat:error={error}");
        for function in BOTH {
            let copy = Copy::new(function, &src, &dst);
            let outcome = copy.run_injected(&[&injection]);
            let Outcome::Ok(method, copied) = &outcome else {
                panic!("{error}: {outcome:?}");
            };
            // The bytes of the first attempt don't count.
            let expected = if method == "Reflink" { 0 } else { 300_000 };
            assert_eq!(*copied, expected);
            assert_same(&src, &dst);
            copy.run_injected(&[&injection])
                .assert_error("AlreadyExists");

            let copy = copy.options(&["replace"]);
            // AppArmor refuses after the kernel has found that the name exists.
            for injection in [&injection, &format!("{injection}:when=2+")] {
                fs::write(&dst, "old").unwrap();
                let outcome = copy.run_injected(&[injection]);
                assert!(
                    matches!(outcome, Outcome::Ok(..)),
                    "{injection}: {outcome:?}"
                );
                assert_same(&src, &dst);
                assert_eq!(names(dir.path()), ["dst", "src"]);
            }
            fs::remove_file(&dst).unwrap();
        }
    }
}

/// As on rclone, exfat-fuse and gcsfuse.
fn a_copy_is_published_without_links_and_without_rename_noreplace(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "new"), dir.path().join("dst"));
    for function in BOTH {
        for link_error in ["EPERM", "ENOSYS", "EIO"] {
            let copy = Copy::new(function, &src, &dst);
            let unnamed = without_tmpfile(&copy);
            let link = format!("linkat:error={link_error}");
            let injections = [&unnamed, "renameat2:error=EINVAL", &link];
            let outcome = copy.run_injected(&injections);
            assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
            assert_text(&dst, "new");
            assert_eq!(names(dir.path()), ["dst", "src"]);

            fs::write(&dst, "old").unwrap();
            copy.run_injected(&injections).assert_error("AlreadyExists");
            assert_text(&dst, "old");
            fs::remove_file(&dst).unwrap();

            // The empty file that reserves the name is removed again.
            let failing = [
                &unnamed,
                "renameat2:error=EINVAL",
                &link,
                "renameat:error=EIO",
            ];
            copy.run_injected(&failing).assert_errno(libc::EIO);
            assert_eq!(names(dir.path()), ["src"]);
        }
    }
}

/// Sets attributes of a file or a directory, and takes them back when it is dropped.
struct Attributes(File);

impl Attributes {
    fn set(path: &Path, flags: IFlags) -> Self {
        let file = File::open(path).unwrap();
        ioctl_setflags(&file, ioctl_getflags(&file).unwrap() | flags).unwrap();
        Self(file)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        let removable = IFlags::APPEND | IFlags::IMMUTABLE;
        let flags = ioctl_getflags(&self.0).unwrap();
        ioctl_setflags(&self.0, flags - removable).unwrap();
    }
}

/// btrfs before Linux 6.18 does not make a file without a name durable. A staging name in such a directory could not
/// be removed again, so the file is synchronised a second time.
fn on_an_old_btrfs_a_copy_in_an_append_only_directory_is_synchronised_twice(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("only/dst"));
    four_extents(&src);
    fs::create_dir(dir.path().join("only")).unwrap();
    let append_only = Attributes::set(&dir.path().join("only"), IFlags::APPEND);
    let (outcome, calls) = Copy::new(Function::Fast, &src, &dst)
        .options(&["old-kernel"])
        .trace();
    drop(append_only);
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    let steps = ["fsync(", "linkat(", "renameat"];
    let made: Vec<_> = calls
        .iter()
        .filter_map(|call| steps.iter().find(|step| call.contains(**step)))
        .copied()
        .collect();
    assert_eq!(made, ["fsync(", "linkat(", "fsync(", "fsync("]);
    assert_same(&src, &dst);
}

/// Asserts that replacing `dst` fails before anything is copied.
#[track_caller]
fn assert_refused_before_copying(src: &Path, dst: &Path, expected: fn(&CopyErrorKind) -> bool) {
    let before = names(dst.parent().unwrap());
    for function in ALL {
        let options = CopyOptions::new().replace(true);
        let error = function.call(&options, src, dst).unwrap_err();
        assert!(expected(error.kind()), "{error}");
        assert_eq!((error.step(), error.copied()), (CopyStep::Open, 0));
        assert_eq!(error.leftover(), None);
        assert_eq!(names(dst.parent().unwrap()), before);
    }
}

fn replacing_fails_before_copying_in_an_append_only_directory(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let append_only = dir.path().join("append-only");
    fs::create_dir(&append_only).unwrap();
    let dst = text_file(&append_only, "dst", "old");
    let _attributes = Attributes::set(&append_only, IFlags::APPEND);
    assert_refused_before_copying(&src, &dst, |kind| {
        matches!(kind, CopyErrorKind::NotPermitted(_))
    });
    assert_text(&dst, "old");
    // A new name needs no rename, unless the copy must be staged under a name.
    let new = append_only.join("new");
    let copy = Copy::new(Function::Sparse, &src, &new);
    let outcome = copy.run();
    assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
    let elsewhere = dir.path().join("elsewhere");
    let injection = without_tmpfile(&Copy::new(Function::Sparse, &src, &elsewhere));
    let other = append_only.join("other");
    let copy = Copy::new(Function::Sparse, &src, &other);
    copy.run_injected(&[&injection])
        .assert_error("NotPermitted");
    assert_eq!(names(&append_only), ["dst", "new"]);
}

fn replacing_an_append_only_or_immutable_file_fails_before_copying(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let dst = text_file(dir.path(), "dst", "old");
    for flag in [IFlags::APPEND, IFlags::IMMUTABLE] {
        let _attributes = Attributes::set(&dst, flag);
        assert_refused_before_copying(&src, &dst, |kind| {
            matches!(kind, CopyErrorKind::NotPermitted(_))
        });
        assert_text(&dst, "old");
    }
}

fn replacing_a_mount_point_fails_before_copying(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "new");
    let mounted = text_file(dir.path(), "mounted", "other");
    let dst = text_file(dir.path(), "dst", "old");
    let mount = Mounted::bind(&mounted, &dst);
    assert_refused_before_copying(&src, &dst, |kind| matches!(kind, CopyErrorKind::Busy(_)));
    drop(mount);
    assert_text(&dst, "old");
    assert_text(&mounted, "other");
}

/// A directory into which every user may put files, and only root may look.
fn a_durable_copy_needs_no_permission_to_read_its_directory(fs: &FileSystem) {
    let dir = fs.dir();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let src = text_file(dir.path(), "src", "text");
    fs::set_permissions(&src, PermissionsExt::from_mode(0o644)).unwrap();
    let drop_box = dir.path().join("drop-box");
    fs::create_dir(&drop_box).unwrap();
    fs::set_permissions(&drop_box, PermissionsExt::from_mode(0o1333)).unwrap();
    // An ordinary user is subject to permissions, root is not.
    let user: &[&str] = if is_privileged() { &["as=2000"] } else { &[] };
    let outcomes = BOTH.map(|function| {
        let dst = drop_box.join(format!("{function:?}"));
        (Copy::new(function, &src, &dst).options(user).trace(), dst)
    });
    // Else an ordinary user could not remove it.
    fs::set_permissions(&drop_box, PermissionsExt::from_mode(0o755)).unwrap();
    for ((outcome, calls), dst) in outcomes {
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        assert_text(&dst, "text");
        // Its whole file system is synchronised instead, once the copy has its name.
        let last = |name| calls.iter().rposition(|call| call.contains(name));
        let named = last(" linkat(").or(last(" renameat2("));
        assert!(named.is_some() && last(" syncfs(") > named, "{calls:#?}");
    }
}

/// The file system ignores the call. The staged file has mode 0600, and the source 0400.
fn wider_permissions_of_the_file_system_are_reported_or_refused(fs: &FileSystem) {
    let dir = fs.dir();
    let (src, dst) = (text_file(dir.path(), "src", "text"), dir.path().join("dst"));
    fs::set_permissions(&src, PermissionsExt::from_mode(0o400)).unwrap();
    for function in BOTH {
        for ignored in ["fchmod:retval=0", "fchmod:error=EPERM"] {
            let copy = Copy::new(function, &src, &dst).options(&["replace", "print-notes"]);
            let outcome = copy.run_injected(&[ignored]);
            let Outcome::Ok(method, _) = &outcome else {
                panic!("{ignored}: {outcome:?}");
            };
            assert!(method.ends_with("+permissions_wider"), "{method}");
            fs::remove_file(&dst).unwrap();

            let copy = Copy::new(function, &src, &dst).options(&["refuse-wider-permissions"]);
            copy.run_injected(&[ignored])
                .assert_error("WiderPermissions");
            assert_eq!(names(dir.path()), ["src"]);
        }
        let copy = Copy::new(function, &src, &dst).options(&["refuse-wider-permissions"]);
        let outcome = copy.run();
        assert!(matches!(outcome, Outcome::Ok(..)), "{outcome:?}");
        fs::remove_file(&dst).unwrap();
    }
    // A mode that the file system narrows is reported too.
    fs::set_permissions(&src, PermissionsExt::from_mode(0o644)).unwrap();
    let copy = Copy::new(Function::Sparse, &src, &dst).options(&["print-notes"]);
    let outcome = copy.run_injected(&["fchmod:retval=0"]);
    let narrower = Outcome::Ok("Copy+permissions_narrower".into(), 4);
    assert_eq!(outcome, narrower);
    fs::remove_file(&dst).unwrap();
    // The group's permissions are not known without the source's access control list.
    let outcome = copy.run_injected(&["fgetxattr:error=EPERM"]);
    assert_eq!(outcome, narrower);
    assert_eq!(
        fs::metadata(&dst).unwrap().permissions().mode() & 0o777,
        0o604
    );
}

/// Returns whether a file has the attribute "no copy-on-write".
fn is_nocow(path: &Path) -> bool {
    let flags = ioctl_getflags(File::open(path).unwrap()).unwrap();
    flags.contains(IFlags::NOCOW)
}

fn a_file_without_copy_on_write_is_cloned(fs: &FileSystem) {
    let dir = fs.dir();
    let nocow = dir.path().join("nocow");
    fs::create_dir(&nocow).unwrap();
    let _attributes = Attributes::set(&nocow, IFlags::NOCOW);
    for (from, to) in [(nocow.as_path(), dir.path()), (dir.path(), nocow.as_path())] {
        let (src, dst) = (from.join("src"), to.join("dst"));
        dense_file(&src, MIB);
        let options = CopyOptions::new().require_reflink(true);
        let report = options.fast_copy(&src, &dst).unwrap();
        assert_eq!(report.method, CopyMethod::Reflink);
        assert_eq!(is_nocow(&dst), is_nocow(&src));
        assert_same(&src, &dst);

        // An independent copy has the attribute of its directory.
        let report = CopyOptions::new().replace(true).sparse_copy(&src, &dst);
        assert_eq!(report.unwrap().method, CopyMethod::Copy);
        assert_eq!(is_nocow(&dst), to == nocow);
        for path in [src, dst] {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(!exists(&nocow.join("dst")));
}

/// They take next to nothing in the source, and would take whole blocks in the copy.
fn zeros_in_compressed_extents_become_holes(fs: &FileSystem) {
    use std::os::unix::fs::FileExt;
    let dir = fs.dir();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let file = File::create(&src).unwrap();
    let flags = ioctl_getflags(&file).unwrap();
    ioctl_setflags(&file, flags | IFlags::COMPRESSED).unwrap();
    file.write_all_at(&vec![0; 8 << 20], 0).unwrap();
    file.write_all_at(&[1; 4096], 4 << 20).unwrap();
    file.sync_all().unwrap();
    for function in [Function::FastWithoutClone, Function::Sparse] {
        let options = CopyOptions::new().replace(true);
        let report = function.call(&options, &src, &dst).unwrap();
        assert!(report.allocated <= 8192, "{report:?}");
        assert_same(&src, &dst);
    }
}

/// Files there can be mapped and not written; the kernel only reports EINVAL.
fn a_destination_on_hugetlbfs_fails_with_the_cause(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let mounted = dir.path().join("huge");
    fs::create_dir(&mounted).unwrap();
    let _mount = Mounted::hugetlbfs(&mounted);
    for size in [5, 3 * MIB] {
        dense_file(&src, size);
        for function in ALL {
            let dst = mounted.join("dst");
            let error = function.call(&CopyOptions::new(), &src, &dst).unwrap_err();
            assert!(error.to_string().contains("hugetlbfs"), "{error}");
            assert_eq!(names(&mounted), [""; 0]);
        }
    }
}
