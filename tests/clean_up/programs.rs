//! Test programs that fail or are killed. This program is one of them if [`PROGRAM`] names it.

use std::process::ExitCode;
use std::thread;

use fast_copy_test_support::files::{MIB, dense_file};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::function::Function;
use fast_copy_test_support::namespace;
use fast_copy_test_support::traced::{Copy, Stopped};

/// The environment variable that names the program.
pub const PROGRAM: &str = "FAST_COPY_CLEAN_UP";

/// Stops a copy, prints its own name, and waits to be killed.
pub const HOLDING: &str = "holding";

/// Runs one test, which fails while a copy is stopped.
pub const FAILING: &str = "failing";

fast_copy_test_support::tests![fails_while_a_copy_is_stopped];

/// Stops a copy on a small file system.
pub fn stopped_copy() -> (Small, Stopped) {
    let disk = Small::new("ext4", smallest("ext4"));
    let (src, dst) = (disk.root.join("src"), disk.root.join("dst"));
    dense_file(&src, MIB);
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let stopped = copy.start_and_stop_at("pwrite64:when=2", &[]);
    (disk, stopped)
}

pub fn hold_a_stopped_copy() -> ExitCode {
    namespace::enter().expect("root's rights");
    let _held = stopped_copy();
    println!("{HOLDING}");
    loop {
        thread::park();
    }
}

fn fails_while_a_copy_is_stopped(_fs: &FileSystem) {
    let (_disk, _copy) = stopped_copy();
    panic!("a failing test");
}
