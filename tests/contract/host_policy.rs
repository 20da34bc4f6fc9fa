//! A host's settings for its guests, and their effect on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{
    KIB, MIB, assert_same, dense_file, names, text_file, write_data,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ONE_WORKER, TWO_WORKERS};
use fast_copy_test_support::guest_host::{FORMS, Guest, Preopen, run, run_with};
use wasmtime_fast_copy::{
    CopyControl, CopyHooks, CopyRequest, Decision, FastCopyCtx, FastCopyCtxBuilder,
};

fast_copy_test_support::tests![
    a_host_that_forbids_sharing_gets_copies_without_shared_blocks where Reflinks and BlockMap,
    max_workers_sets_the_number_of_threads_of_a_copy where Offload,
    extents_written_during_a_hook_count_for_the_clone_limit where Reflinks and BlockMap,
    a_leased_source_that_is_open_for_writing_is_busy where Leases,
];

/// Has a guest copy `src` by `fast-copy`. Returns the method.
fn method(form: Form, dir: &Path, dst: &str, ctx: FastCopyCtxBuilder) -> String {
    let dirs = [Preopen::writable(dir, ".")];
    let args = ["fast-copy", ".", "src", ".", dst, "replace"];
    let output = run_with(Guest::Probe, form, &dirs, &args, ctx.build());
    let words = output.stdout.strip_prefix("ok CopyMethod::");
    let words = words.unwrap_or_else(|| panic!("{output:?}"));
    words.split(' ').next().unwrap().to_owned()
}

/// Whether a file shares blocks, according to the guest `clone-disk`.
fn shares(dir: &Path, name: &str) -> bool {
    let dirs = [Preopen::writable(dir, ".")];
    let output = run(Guest::CloneDisk, Form::Sync, &dirs, &["usage", name]);
    let line = output.stdout.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    words[5..7] != ["0", "B"]
}

/// Allows every copy, without shared blocks.
struct WithoutSharing;

impl CopyHooks for WithoutSharing {
    fn authorize(&self, _: &CopyRequest<'_>) -> Decision {
        Decision::AllowWithoutSharing
    }
}

fn a_host_that_forbids_sharing_gets_copies_without_shared_blocks(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    let by_setting = FastCopyCtx::builder().allow_sharing(false);
    let by_hook = FastCopyCtx::builder().hooks(WithoutSharing);
    for form in FORMS {
        for ctx in [by_setting.clone(), by_hook.clone()] {
            assert_eq!(method(form, dir.path(), "copy", ctx), "Copy");
            assert!(!shares(dir.path(), "copy") && !shares(dir.path(), "src"));
            assert_same(&src, &dir.path().join("copy"));
        }
    }
    let allowed = FastCopyCtx::builder();
    assert_eq!(method(Form::Sync, dir.path(), "clone", allowed), "Reflink");
    assert!(
        shares(dir.path(), "clone"),
        "shared blocks are not reported"
    );
}

/// Writes many extents to the source after it was opened as a small file.
struct Grow(PathBuf);

impl CopyHooks for Grow {
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        let src = File::options().write(true).open(&self.0).unwrap();
        for i in 0..600 {
            write_data(&src, i * 16 * KIB..i * 16 * KIB + 4 * KIB);
        }
    }
}

fn extents_written_during_a_hook_count_for_the_clone_limit(fs: &FileSystem) {
    for form in FORMS {
        let dir = fs.dir();
        let src = dir.path().join("src");
        text_file(dir.path(), "src", "small");
        let ctx = FastCopyCtx::builder()
            .max_clone_extents(500)
            .hooks(Grow(src));
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["fast-copy", ".", "src", ".", "dst", ""];
        let output = run_with(Guest::Probe, form, &dirs, &args, ctx.build());
        // The extents are too many for a clone, and a source that has changed can't be copied otherwise.
        let changed = "err ErrorCode::SourceChanged Some(Operand::Source)\n";
        assert_eq!(output.stdout, changed);
        assert_eq!(names(dir.path()), ["src"]);
    }
}

/// Two threads always read and write; one offloads what is on the disk.
fn max_workers_sets_the_number_of_threads_of_a_copy(fs: &FileSystem) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    dense_file(&src, 32 * MIB);
    File::open(&src).unwrap().sync_all().unwrap();
    for form in FORMS {
        for (workers, expected) in [(ONE_WORKER, "Offload"), (TWO_WORKERS, "Copy")] {
            let ctx = FastCopyCtx::builder().max_workers(workers);
            assert_eq!(method(form, dir.path(), "dst", ctx), expected);
            assert_same(&src, &dir.path().join("dst"));
        }
    }
}

fn a_leased_source_that_is_open_for_writing_is_busy(fs: &FileSystem) {
    let dir = fs.dir();
    let src = text_file(dir.path(), "src", "text");
    let leasing = FastCopyCtx::builder().lease_source(true);
    for form in FORMS {
        let writer = File::options().write(true).open(&src).unwrap();
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["fast-copy", ".", "src", ".", "dst", "replace"];
        let output = run_with(Guest::Probe, form, &dirs, &args, leasing.clone().build());
        assert_eq!(output.stdout, "err ErrorCode::Busy Some(Operand::Source)\n");
        assert_eq!(names(dir.path()), ["src"]);
        drop(writer);
        method(form, dir.path(), "dst", leasing.clone());
        assert_same(&src, &dir.path().join("dst"));
        std::fs::remove_file(dir.path().join("dst")).unwrap();
    }
}
