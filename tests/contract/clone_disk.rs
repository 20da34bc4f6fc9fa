//! The command line of the guest `clone-disk`.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::{
    KIB, MIB, assert_allocated_at_most, assert_same, assert_text, dense_file, four_extents, names,
    text_file,
};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::{
    FORMS, Guest, Output, P2_FORMS, Preopen, Stderr, run, run_with, run_with_stderr,
};
use fast_copy_test_support::held::HeldCopies;
use fast_copy_test_support::running_guest::RunningGuest;
use fast_copy_test_support::waiting::wait_until;
use wasmtime_fast_copy::{CopyHooks, CopyRequest, CopySlots, FastCopyCtx, FastCopyCtxBuilder};

fast_copy_test_support::tests![
    clone_prints_the_method_and_verify_compares_the_bytes,
    clone_independent_copies_without_sharing,
    usage_prints_allocated_and_shared_bytes where Holes,
    clone_makes_a_larger_copy_with_the_times_of_its_base where Holes and Permissions,
    a_path_outside_all_preopened_directories_lists_them,
    errors_name_the_path_and_the_cause where SymbolicLinks and OpenAt2,
    a_failure_lists_what_was_not_attempted,
    copies_in_progress_are_completed_after_a_failure,
    clone_makes_more_copies_than_the_host_accepts_at_once,
    tree_copies_each_file_to_the_same_path where Holes,
    tree_refuses_other_files_before_it_copies where SymbolicLinks,
    tree_writes_below_the_new_directory_only where SymbolicLinks,
    progress_is_a_bar_on_a_terminal_and_lines_elsewhere where Memory,
];

fn clone_prints_the_method_and_verify_compares_the_bytes(fs: &FileSystem) {
    let dir = fs.dir();
    four_extents(&dir.path().join("base.img"));
    // Dirty pages can't be told from preallocated blocks, and are not offloaded.
    let base = fs::File::open(dir.path().join("base.img")).unwrap();
    base.sync_all().unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), "/images")];
        let args = [
            "clone",
            "/images/base.img",
            "/images/a.img",
            "/images/b.img",
        ];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        let method = if fs.reflinks() {
            "reflink"
        } else if fs.can_offload() {
            "offload"
        } else {
            "copy"
        };
        let lines: Vec<_> = output.stdout.lines().skip(1).collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words[1], method, "{line}");
            assert_eq!(words[2..4], ["16.0", "MiB"]);
            assert!(words.contains(&"yes"), "{line}");
        }
        for clone in ["/images/a.img", "/images/b.img"] {
            let args = ["verify", "/images/base.img", clone];
            let output = run(Guest::CloneDisk, form, &dirs, &args);
            assert_eq!(output.status, 0, "{output:?}");
            assert!(output.stdout.contains("are the same, 16777216 bytes"));
        }
        for name in ["a.img", "b.img"] {
            let clone = dir.path().join(name);
            assert_same(&dir.path().join("base.img"), &clone);
            fs::remove_file(clone).unwrap();
        }
    }
}

fn clone_independent_copies_without_sharing(fs: &FileSystem) {
    let dir = fs.dir();
    four_extents(&dir.path().join("base.img"));
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = [
            "clone",
            "--independent",
            "--replace",
            "--no-sync",
            "base.img",
            "a.img",
        ];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        assert!(output.stdout.contains("copy"), "{output:?}");
        assert!(output.stdout.contains(" no "), "{output:?}");
        assert_same(&dir.path().join("base.img"), &dir.path().join("a.img"));
    }
}

fn usage_prints_allocated_and_shared_bytes(fs: &FileSystem) {
    let dir = fs.dir();
    let base = dir.path().join("base.img");
    four_extents(&base);
    fs::File::open(&base).unwrap().sync_all().unwrap();
    wasmtime_fast_copy::CopyOptions::new()
        .fast_copy(&base, dir.path().join("a.img"))
        .unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["usage", "base.img", "a.img"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        let lines: Vec<_> = output.stdout.lines().skip(1).collect();
        for (line, name) in lines.into_iter().zip(["base.img", "a.img"]) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words[..3], [name, "16.0", "MiB"], "{line}");
            match (fs.has_fiemap(), fs.reflinks()) {
                (false, _) => assert_eq!(words[5..], ["-", "-"], "{line}"),
                (true, false) => assert_eq!(words[5..], ["0", "B", "4"], "{line}"),
                // All allocated bytes are shared.
                (true, true) => {
                    assert_eq!(words[3..5], words[5..7], "{line}");
                    assert_eq!(words[7], "4", "{line}");
                }
            }
        }
    }
}

fn errors_name_the_path_and_the_cause(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "a", "same, but");
    text_file(dir.path(), "b", "same, and");
    symlink("a", dir.path().join("link")).unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        for (args, message) in [
            (&["verify", "a", "b"] as &[&str], "differ at byte 6"),
            (
                &["clone", "a", "b"],
                "clone-disk: b: already exists (use replace",
            ),
            (&["clone", "none", "c"], "clone-disk: none: no such file"),
            (
                &["clone", "--size", "3", "a", "c"],
                "the requested size of 3 bytes is below the source's",
            ),
            (&["clone", "--size", "3X", "a", "c"], "3X"),
            (
                &["clone", "--require-reflink", "--independent", "a", "c"],
                "a -> c: require-reflink contradicts sparse-copy",
            ),
            (&["clone", "link", "c"], "is a symbolic link"),
            (&["clone", "a"], "needs a BASE and at least one NAME"),
            (&["tree", "a"], "tree needs two directories"),
            (&["tree", "--size", "1G", "a", "c"], "--size"),
            (&["usage", "--replace", "a"], "--replace"),
            (&["clone", "--bogus", "a", "c"], "--bogus"),
            (&["bogus"], "unknown command"),
            (&[], "no command given"),
        ] {
            let output = run(Guest::CloneDisk, form, &dirs, args);
            assert_eq!(output.status, 1, "{args:?}: {output:?}");
            assert!(output.stderr.contains(message), "{args:?}: {output:?}");
            assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
        }
        let output = run(Guest::CloneDisk, form, &dirs, &["--version"]);
        assert!(output.stdout.starts_with("clone-disk "), "{output:?}");
        assert_eq!(names(dir.path()), ["a", "b", "link"]);
        let args = ["clone", "--symlink-follow", "link", "c"];
        assert_eq!(run(Guest::CloneDisk, form, &dirs, &args).status, 0);
        assert_text(&dir.path().join("c"), "same, but");
        fs::remove_file(dir.path().join("c")).unwrap();
    }
}

fn a_failure_lists_what_was_not_attempted(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "base", "text");
    text_file(dir.path(), "b", "old");
    for form in P2_FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["clone", "base", "a", "b", "c", "d"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 1);
        let lines: Vec<_> = output.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{output:?}");
        assert!(lines[0].starts_with("clone-disk: b: already exists"));
        assert_eq!(lines[1], "not attempted: c, d");
        assert_eq!(names(dir.path()), ["a", "b", "base"]);
        assert_text(&dir.path().join("b"), "old");
        fs::remove_file(dir.path().join("a")).unwrap();
    }
}

/// A context whose copies are held, and can all run at once.
fn held_at_once(held: &HeldCopies) -> FastCopyCtxBuilder {
    const COPIES: usize = 16;
    FastCopyCtx::builder()
        .slots(CopySlots::new(COPIES))
        .max_copies(COPIES)
        .hooks(held.hooks())
}

/// In WASI 0.3, 16 copies are in progress at once. Two of them fail while the others are held.
fn copies_in_progress_are_completed_after_a_failure(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "base", "text");
    text_file(dir.path(), "b00", "old");
    text_file(dir.path(), "b05", "old");
    let dirs = [Preopen::writable(dir.path(), ".")];
    let copies: Vec<_> = (0..40).map(|number| format!("b{number:02}")).collect();
    let mut args = vec!["clone", "base"];
    args.extend(copies.iter().map(String::as_str));
    let held = HeldCopies::default();
    let ctx = held_at_once(&held).build();
    let mut guest = RunningGuest::new(Guest::CloneDisk, Form::P3, &dirs, &args, ctx.clone());
    guest.run_until(|| held.count() == 16);
    held.release_only(&["b00", "b05"]);
    guest.run_until(|| ctx.jobs() == 14);
    held.release();
    let output = guest.finish();
    assert_eq!(output.status, 1);
    let mut errors: Vec<_> = output.stderr.lines().collect();
    let last = errors.pop().unwrap();
    assert!(last.starts_with("not attempted: b16, b17, "), "{output:?}");
    assert!(last.ends_with(" more"), "{output:?}");
    // The first line names the program.
    errors[0] = errors[0].strip_prefix("clone-disk: ").unwrap();
    errors.sort();
    let failed = ["b00", "b05"].map(|name| format!("{name}: already exists"));
    for (error, expected) in errors.iter().zip(&failed) {
        assert!(error.starts_with(expected), "{output:?}");
    }
    assert_eq!(errors.len(), failed.len(), "{output:?}");
    // The table has the copies that were made, in the order of their names.
    let made: Vec<_> = output
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    let started = copies.iter().take(16);
    let expected: Vec<_> = started
        .filter(|name| !["b00", "b05"].contains(&name.as_str()))
        .collect();
    assert_eq!(made, expected);
    assert_eq!(names(dir.path()).len(), 1 + 16);
    for name in made {
        assert_text(&dir.path().join(name), "text");
    }
}

fn clone_makes_more_copies_than_the_host_accepts_at_once(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "base", "text");
    let dirs = [Preopen::writable(dir.path(), ".")];
    for form in FORMS {
        let copies = FastCopyCtx::builder().max_jobs(2).max_waiting(1).build();
        let args = ["clone", "base", "a", "b", "c", "d", "e", "f"];
        let output = run_with(Guest::CloneDisk, form, &dirs, &args, copies);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""));
        assert_eq!(names(dir.path()), ["a", "b", "base", "c", "d", "e", "f"]);
        for name in &args[2..] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
}

/// Runs the guest in WASI 0.3. Its copies begin once all of them are in progress.
fn run_at_once(dirs: &[Preopen<'_>], args: &[&str], copies: usize) -> Output {
    let held = HeldCopies::default();
    let ctx = held_at_once(&held).build();
    let mut guest = RunningGuest::new(Guest::CloneDisk, Form::P3, dirs, args, ctx);
    guest.run_until(|| held.count() == copies);
    held.release();
    guest.finish()
}

fn tree_copies_each_file_to_the_same_path(fs: &FileSystem) {
    let dir = fs.dir();
    let images = dir.path().join("images");
    fs::create_dir_all(images.join("linux/empty")).unwrap();
    four_extents(&images.join("linux/base.img"));
    text_file(&images, "a", "text");
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["tree", "images", "new/"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        let files: Vec<_> = output
            .stdout
            .lines()
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        assert_eq!(files, ["FILE", "a", "linux/base.img", "2"], "{output:?}");
        let new = dir.path().join("new");
        assert_eq!(names(&new), ["a", "linux"]);
        assert_eq!(names(&new.join("linux")), ["base.img", "empty"]);
        assert_text(&new.join("a"), "text");
        let (base, copy) = (images.join("linux/base.img"), new.join("linux/base.img"));
        assert_same(&base, &copy);
        assert_allocated_at_most(&copy, 256 * KIB);
        // What exists is kept, and named.
        let output = match form {
            Form::Async | Form::Sync => run(Guest::CloneDisk, form, &dirs, &args),
            Form::P3 => run_at_once(&dirs, &args, 2),
        };
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains("new/a: already exists"));
        let other = match form {
            Form::Async | Form::Sync => "not attempted: linux/base.img",
            Form::P3 => "new/linux/base.img: already exists",
        };
        assert!(output.stderr.contains(other), "{output:?}");
        let args = ["tree", "--replace", "--no-sync", "images", "new"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        fs::remove_dir_all(new).unwrap();
    }
}

fn tree_refuses_other_files_before_it_copies(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir(dir.path().join("images")).unwrap();
    text_file(&dir.path().join("images"), "a", "text");
    symlink("a", dir.path().join("images/link")).unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let output = run(Guest::CloneDisk, form, &dirs, &["tree", "images", "new"]);
        assert_eq!(output.status, 1, "{output:?}");
        assert_eq!(
            output.stderr,
            "clone-disk: images/link: is neither a regular file nor a directory; nothing was copied\n"
        );
        assert_eq!(names(dir.path()), ["images"]);
    }
}

fn tree_writes_below_the_new_directory_only(fs: &FileSystem) {
    let dir = fs.dir();
    fs::create_dir_all(dir.path().join("images/linux")).unwrap();
    text_file(&dir.path().join("images/linux"), "a", "text");
    fs::create_dir_all(dir.path().join("linked")).unwrap();
    fs::create_dir_all(dir.path().join("other")).unwrap();
    text_file(&dir.path().join("other"), "a", "old");
    symlink("../other", dir.path().join("linked/linux")).unwrap();
    fs::create_dir_all(dir.path().join("file")).unwrap();
    text_file(&dir.path().join("file"), "linux", "no directory");
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        for (new, message) in [
            ("images/new", "images/new: is inside images"),
            ("./images/", "./images/: is inside images"),
            ("linked", "linked/linux: exists and is not a directory"),
            ("file", "file/linux: exists and is not a directory"),
        ] {
            let args = ["tree", "--replace", "images", new];
            let output = run(Guest::CloneDisk, form, &dirs, &args);
            assert_eq!(output.status, 1, "{output:?}");
            assert!(output.stderr.contains(message), "{output:?}");
        }
        assert_eq!(names(&dir.path().join("images")), ["linux"]);
        assert_text(&dir.path().join("other/a"), "old");
    }
}

fn clone_makes_a_larger_copy_with_the_times_of_its_base(fs: &FileSystem) {
    let dir = fs.dir();
    let base = text_file(dir.path(), "base", "an image");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(&base).unwrap();
    file.set_modified(modified).unwrap();
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), ".")];
        let args = ["clone", "--size", "1G", "--preserve-times", "base", "large"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert_eq!(output.status, 0, "{output:?}");
        assert!(output.stdout.contains("1.0 GiB"), "{output:?}");
        let large = dir.path().join("large");
        let found = fs::metadata(&large).unwrap();
        assert_eq!(
            (found.len(), found.modified().unwrap()),
            (1 << 30, modified)
        );
        assert_allocated_at_most(&large, 128 * KIB);
        let args = ["verify", "base", "large"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        assert!(output.stderr.contains("differ at byte 8"), "{output:?}");
        fs::remove_file(large).unwrap();
    }
}

fn a_path_outside_all_preopened_directories_lists_them(fs: &FileSystem) {
    let dir = fs.dir();
    text_file(dir.path(), "a", "text");
    for form in FORMS {
        let dirs = [Preopen::writable(dir.path(), "/images")];
        let args = ["clone", "/images/a", "/other/a"];
        let output = run(Guest::CloneDisk, form, &dirs, &args);
        let expected = "/other/a: outside all preopened directories (/images)";
        assert!(output.stderr.contains(expected), "{output:?}");
    }
}

/// Hooks that hold each copy after each batch of bytes, until the guest has shown that batch.
struct UntilShown {
    stderr: Stderr,
    /// Whether the guest has shown that this many bytes were copied.
    is_shown: fn(shown: &str, copied: u64) -> bool,
    /// The bytes that were copied after each batch.
    batches: Arc<Mutex<Vec<u64>>>,
}

impl CopyHooks for UntilShown {
    fn progress(&self, _: &CopyRequest<'_>, copied: u64) {
        self.batches.lock().unwrap().push(copied);
        wait_until(|| (self.is_shown)(&self.stderr.text(), copied));
    }
}

/// Returns the percentages that progress bars with this title have shown.
fn percentages(text: &str, title: &str) -> Vec<u64> {
    text.split('\r')
        .filter(|frame| frame.starts_with(title))
        // A frame that is still being written has no percentage yet.
        .filter_map(|frame| frame.split_once(" %"))
        .map(|(before, _)| before.split(' ').next_back().unwrap().parse().unwrap())
        .collect()
}

fn progress_is_a_bar_on_a_terminal_and_lines_elsewhere(fs: &FileSystem) {
    const SIZE: u64 = 48 * MIB;
    let dir = fs.dir();
    dense_file(&dir.path().join("base.img"), SIZE);
    let dirs = [Preopen::writable(dir.path(), ".")];
    let copy = |form, names: &[&str], stderr: Stderr, is_shown: fn(&str, u64) -> bool| {
        let batches = Arc::new(Mutex::default());
        let hooks = UntilShown {
            stderr: stderr.clone(),
            is_shown,
            batches: Arc::clone(&batches),
        };
        // Slots of its own: held copies would delay other tests.
        let ctx = FastCopyCtx::builder()
            .slots(CopySlots::new(2))
            .max_workers(NonZero::<usize>::MIN)
            .hooks(hooks);
        let args = [&["clone", "--independent", "--no-sync", "base.img"], names].concat();
        let output = run_with_stderr(Guest::CloneDisk, form, &dirs, &args, ctx.build(), &stderr);
        assert_eq!(output.status, 0, "{output:?}");
        for name in names {
            let copy = dir.path().join(name);
            assert_same(&dir.path().join("base.img"), &copy);
            fs::remove_file(copy).unwrap();
        }
        let batches = batches.lock().unwrap().clone();
        (output.stderr, batches)
    };

    fn rounded(copied: u64) -> u64 {
        (copied * 100 + SIZE / 2) / SIZE
    }
    for form in [Form::Async, Form::P3] {
        let (stderr, batches) = copy(form, &["a.img"], Stderr::terminal(), |shown, copied| {
            let shown = percentages(shown, "a.img [").pop();
            shown.is_some_and(|percent| percent >= rounded(copied))
        });
        // The bar can be drawn within a batch too.
        let shown = percentages(&stderr, "a.img [");
        assert!(shown.is_sorted() && shown.ends_with(&[100]), "{stderr:?}");
        let expected: Vec<_> = batches.into_iter().map(rounded).collect();
        let missing = expected.iter().find(|percent| !shown.contains(percent));
        assert_eq!(missing, None, "{stderr:?}");
        assert!(expected.len() > 2 && expected.is_sorted(), "{expected:?}");
        let is_erased = stderr.ends_with("\r\u{1b}[K");
        assert!(is_erased, "the bar is not erased at the end: {stderr:?}");
    }

    // One bar for two copies. Each waits until the bar shows at least its own bytes.
    let names = ["a.img", "b.img"];
    let (stderr, _) = copy(Form::P3, &names, Stderr::terminal(), |shown, copied| {
        let shown = percentages(shown, "2 copies [").pop();
        shown.is_some_and(|percent| percent >= copied * 100 / (2 * SIZE))
    });
    let mut shown = percentages(&stderr, "2 copies [");
    assert!(shown.is_sorted(), "{stderr:?}");
    shown.dedup();
    assert!(shown.len() > 1, "{stderr:?}");

    let (stderr, _) = copy(Form::Sync, &["a.img"], Stderr::file(), |shown, _| {
        !shown.is_empty()
    });
    let first = stderr.lines().next().unwrap();
    assert!(first.starts_with("a.img: ") && first.ends_with(" MiB after 5 s"));
    assert!(!stderr.contains(['\r', '\u{1b}']), "{stderr:?}");
}
