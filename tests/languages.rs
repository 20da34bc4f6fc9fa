//! The guest `cloner` does and prints the same in four languages, in both linker forms.
//!
//! A language whose tools are missing is skipped, which is reported. In CI it is a failure.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use fast_copy_test_support::files::{
    GIB, KIB, MIB, allocated, assert_allocated_at_most, assert_same, sparse_file,
};
use fast_copy_test_support::guest_host::{Output, P2_FORMS, Preopen, run_component};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::{
    CopyError, CopyHooks, CopyOptions, CopyReport, CopyRequest, CopyTimes, FastCopyCtx,
};

#[test]
fn a_sparse_file_is_cloned_and_verified() {
    let starts = [0, GIB, 4 * GIB - 100 * KIB];
    let data = starts.map(|start| start..start + 100 * KIB);
    clone_twice(&Base::new(4 * GIB, &data));
}

#[test]
fn a_file_with_more_ranges_than_one_call_returns_is_cloned_and_verified() {
    let starts = (0..1100).map(|number| number * 8 * KIB);
    let data: Vec<_> = starts.map(|start| start..start + 4 * KIB).collect();
    clone_twice(&Base::new(16 * MIB, &data));
}

#[test]
fn an_empty_file_is_cloned_and_verified() {
    clone_twice(&Base::new(0, &[]));
}

#[test]
fn a_missing_base_is_no_entry() {
    for_each_guest(|run| {
        let dir = tempfile::tempdir().unwrap();
        let output = run(dir.path(), &["base.img", "vm1.img"], FastCopyCtx::new());
        assert_failed(&output, "", "cloner: vm1.img: no-entry\n");
        assert!(!dir.path().join("vm1.img").exists());
    });
}

#[test]
fn an_existing_clone_is_exist() {
    let base = Base::new(MIB, &[0..4 * KIB, 512 * KIB..516 * KIB]);
    for_each_guest(|run| {
        let vm2 = base.path("vm2.img");
        fs::write(&vm2, "old").unwrap();
        let output = run(
            base.dir.path(),
            &["base.img", "vm1.img", "vm2.img"],
            FastCopyCtx::new(),
        );
        assert_failed(&output, &base.lines("vm1.img"), "cloner: vm2.img: exist\n");
        assert_eq!(fs::read(&vm2).unwrap(), b"old");
        base.remove(&["vm1.img", "vm2.img"]);
    });
}

#[test]
fn too_few_arguments_print_the_usage() {
    for_each_guest(|run| {
        for args in [&[][..], &["base.img"]] {
            let dir = tempfile::tempdir().unwrap();
            let output = run(dir.path(), args, FastCopyCtx::new());
            assert_failed(&output, "", "usage: cloner BASE CLONE...\n");
        }
    });
}

/// Changes each copy as soon as it is made.
struct Changes {
    copy: PathBuf,
    offset: u64,
}

impl CopyHooks for Changes {
    fn ended(&self, _: &CopyRequest<'_>, _: Result<&CopyReport, &CopyError>, _: CopyTimes) {
        let copy = File::options().write(true).open(&self.copy).unwrap();
        copy.write_all_at(b"!", self.offset).unwrap();
    }
}

#[test]
fn a_changed_clone_is_not_verified() {
    let base = Base::new(4 * MIB, &[MIB..MIB + 128 * KIB, 3 * MIB..3 * MIB + 4 * KIB]);
    // In the data, at the end of its last chunk, and in the hole before it.
    for offset in [MIB, MIB + 128 * KIB - 1, 0] {
        for_each_guest(|run| {
            let copy = base.path("vm1.img");
            let hooks = Changes { copy, offset };
            let copies = FastCopyCtx::builder().hooks(hooks).build();
            let output = run(base.dir.path(), &["base.img", "vm1.img"], copies);
            let lines = base.lines("vm1.img");
            let copied = lines.split_inclusive('\n').next().unwrap();
            assert_failed(&output, copied, "cloner: vm1.img: not verified\n");
            base.remove(&["vm1.img"]);
        });
    }
}

/// A directory with a file `base.img`.
struct Base {
    dir: tempfile::TempDir,
    /// What a copy of it reports.
    report: CopyReport,
    /// How many bytes of data it has.
    data: u64,
}

impl Base {
    /// Creates a file that has the given size, and data in the given ranges of whole blocks.
    fn new(size: u64, data: &[Range<u64>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("base.img");
        sparse_file(&path, size, data);
        File::open(&path).unwrap().sync_all().unwrap();
        let copy = dir.path().join("copy");
        let report = CopyOptions::new().fast_copy(&path, &copy).unwrap();
        fs::remove_file(copy).unwrap();
        let data = data.iter().map(|range| range.end - range.start).sum();
        Self { dir, report, data }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the lines that a guest prints about a clone.
    fn lines(&self, clone: &str) -> String {
        let method = format!("{:?}", self.report.method).to_lowercase();
        let (copied, size, data) = (self.report.copied, self.report.size, self.data);
        format!(
            "{clone}: {method}, {copied} of {size} bytes copied\n\
             {clone}: verified, {data} bytes of data\n"
        )
    }

    fn remove(&self, clones: &[&str]) {
        for clone in clones {
            fs::remove_file(self.path(clone)).unwrap();
        }
    }
}

/// Lets each guest make two clones, and looks at them.
#[track_caller]
fn clone_twice(base: &Base) {
    let clones = ["vm1.img", "vm2.img"];
    for_each_guest(|run| {
        let args = ["base.img", "vm1.img", "vm2.img"];
        let output = run(base.dir.path(), &args, FastCopyCtx::new());
        assert_eq!(output.stderr, "");
        assert_eq!(
            output.stdout,
            clones.map(|clone| base.lines(clone)).concat()
        );
        assert_eq!(output.status, 0);
        for clone in clones {
            assert_same(&base.path("base.img"), &base.path(clone));
            assert_allocated_at_most(&base.path(clone), allocated(&base.path("base.img")));
        }
        base.remove(&clones);
    });
}

#[track_caller]
fn assert_failed(output: &Output, stdout: &str, stderr: &str) {
    assert_eq!(output.stdout, stdout);
    assert_eq!(output.stderr, stderr);
    assert_eq!(output.status, 1);
}

/// Runs a guest in a directory, with arguments.
type Run<'a> = dyn Fn(&Path, &[&str], FastCopyCtx) -> Output + 'a;

/// Calls `test` once for each language and linker form.
#[track_caller]
fn for_each_guest(test: impl Fn(&Run<'_>)) {
    for (language, component) in GUESTS.iter() {
        for form in P2_FORMS {
            test(&|dir, args, copies| {
                let dirs = [Preopen::writable(dir, ".")];
                let output = run_component(component, form, &dirs, args, copies)
                    .unwrap_or_else(|trap| panic!("{language}, {form:?}: {trap:#}"));
                // Shown if the test fails.
                println!("{language}, {form:?}: {output:?}");
                output
            });
        }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// The languages that can be built here, with their components.
static GUESTS: LazyLock<Vec<(&str, Component)>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = root.join("target/guest-languages");
    let languages = ["rust", "c", "python", "javascript"];
    let built = languages.into_iter().filter_map(|language| {
        match build(&root.join("guest/cloner").join(language), &out) {
            Ok(()) => {
                let wasm = out.join(language).with_extension("wasm");
                Some((language, Component::from_file(&ENGINE, wasm).unwrap()))
            }
            Err(reason) => {
                assert!(std::env::var_os("CI").is_none(), "{language}: {reason}");
                // Not `eprintln`, which prints nothing if the test succeeds.
                let skipped = format!("skipped: the guest in {language}: {reason}\n");
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
                None
            }
        }
    });
    built.collect()
});

/// Builds a guest. Returns the reason if a tool is missing.
fn build(folder: &Path, out: &Path) -> Result<(), String> {
    let script = folder.join("build.sh");
    let output = Command::new(&script).arg(out).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        // A tool is missing; 127 is the shell's status for that. The last line names it.
        Some(3 | 127) => Err(stderr.lines().last().unwrap_or_default().to_owned()),
        _ => panic!("{}: {}\n{stderr}", script.display(), output.status),
    }
}
