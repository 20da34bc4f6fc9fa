//! Test programs that fail or are killed. This program is one of them if [`PROGRAM`] names it.

use std::path::Path;
use std::process::ExitCode;
use std::thread;

use fast_copy_test_support::files::{MIB, dense_file};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::function::Function;
use fast_copy_test_support::namespace::{self, Namespaces};
use fast_copy_test_support::traced::{Copy, Stopped};
use tempfile::TempDir;

/// The environment variable that names the program.
pub const PROGRAM: &str = "FAST_COPY_CLEAN_UP";

/// Stops a copy, prints its own name, and waits to be killed.
pub const HOLDING: &str = "holding";

/// Runs one test, which fails while a copy is stopped.
pub const FAILING: &str = "failing";

fast_copy_test_support::tests![fails_while_a_copy_is_stopped];

/// Where a copy is stopped.
pub enum Place {
    /// A small file system: ext4 as root, else tmpfs.
    Mounted(Small),
    /// Without namespaces, a directory.
    Directory(TempDir),
}

impl Place {
    fn new() -> Self {
        match Namespaces::current() {
            Namespaces::OfRoot => Place::Mounted(Small::new("ext4", smallest("ext4"))),
            Namespaces::OfUser => Place::Mounted(Small::new("tmpfs", smallest("tmpfs"))),
            Namespaces::None(_) => Place::Directory(tempfile::tempdir().unwrap()),
        }
    }

    pub fn root(&self) -> &Path {
        match self {
            Place::Mounted(disk) => &disk.root,
            Place::Directory(dir) => dir.path(),
        }
    }
}

/// Stops a copy.
pub fn stopped_copy() -> (Place, Stopped) {
    let place = Place::new();
    let (src, dst) = (place.root().join("src"), place.root().join("dst"));
    dense_file(&src, MIB);
    let copy = Copy::new(Function::Sparse, &src, &dst);
    let stopped = copy.start_and_stop_at("pwrite64:when=2", &[]);
    (place, stopped)
}

pub fn hold_a_stopped_copy() -> ExitCode {
    namespace::enter_if_possible();
    let _held = stopped_copy();
    println!("{HOLDING}");
    loop {
        thread::park();
    }
}

fn fails_while_a_copy_is_stopped(_fs: &FileSystem) {
    let (_place, _copy) = stopped_copy();
    panic!("a failing test");
}
