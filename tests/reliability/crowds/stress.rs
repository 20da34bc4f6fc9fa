//! Random operations on a file system, as xfstests' `fsstress` makes them, which Debian does not package.
//!
//! The operations follow from the seed. Several threads use the same few names, so that their operations meet. An
//! operation that fails because of another one, or because the file system does not have it, is no failure of the test.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use rustix::fs::{FallocateFlags, XattrFlags, fallocate};

/// The largest size of a file, in bytes.
const LARGEST: u64 = 256 << 10;

/// Makes random operations in the directories of the base and of the copies.
pub struct Stress {
    dirs: Vec<PathBuf>,
    rng: Rng,
    pub operations: u64,
}

impl Stress {
    pub fn new(root: &Path, seed: u64) -> Self {
        let at = |dir: &str| root.join(dir);
        Self {
            dirs: ["bases", "clones", "bases/name-0", "clones/name-1"]
                .map(at)
                .to_vec(),
            rng: Rng::with_seed(seed),
            operations: 0,
        }
    }

    fn name(&mut self) -> PathBuf {
        let dir = self.rng.usize(..self.dirs.len());
        self.dirs[dir].join(format!("name-{}", self.rng.usize(..12)))
    }

    /// Makes one operation.
    pub fn step(&mut self) {
        let (path, other) = (self.name(), self.name());
        let value = [self.rng.u8(..); 100];
        let result = match self.rng.u8(..13) {
            0..3 => change(&path, &mut self.rng),
            3 => fs::rename(&path, &other),
            4 => fs::hard_link(&path, &other),
            5 => fs::remove_file(&path),
            6 => symlink("name-2", &path),
            7 => fs::create_dir(&path),
            8 => fs::remove_dir(&path),
            9 => rustix::fs::setxattr(&path, "user.stress", &value, XattrFlags::empty())
                .map_err(io::Error::from),
            10 => rustix::fs::removexattr(&path, "user.stress").map_err(io::Error::from),
            11 => File::open(&path).and_then(|file| file.sync_all()),
            _ => fs::copy(&path, &other).map(drop),
        };
        count(result, &mut self.operations);
    }
}

/// Makes random operations on the base.
pub struct StressOnBase {
    base: PathBuf,
    rng: Rng,
    pub operations: u64,
}

impl StressOnBase {
    pub fn new(base: &Path, seed: u64) -> Self {
        Self {
            base: base.to_owned(),
            rng: Rng::with_seed(seed),
            operations: 0,
        }
    }

    /// Makes one operation, and pauses for up to 20 ms, so that some copies see no change.
    pub fn step(&mut self) {
        count(change(&self.base, &mut self.rng), &mut self.operations);
        std::thread::sleep(std::time::Duration::from_micros(self.rng.u64(..20_000)));
    }
}

/// Makes one operation on the content of a file, which is created if it does not exist.
fn change(path: &Path, rng: &mut Rng) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    let at = rng.u64(..LARGEST / 4096) * 4096;
    let length = rng.u64(1..64 << 10);
    let range = |flags| Ok(fallocate(&file, flags, at, length)?);
    match rng.u8(..8) {
        0..3 => file.write_all_at(&vec![rng.u8(..); length as usize], at),
        // A base keeps its size for most of the time.
        3 => file.set_len(file.metadata()?.len().max(at)),
        4 => range(FallocateFlags::empty()),
        5 => range(FallocateFlags::KEEP_SIZE),
        6 => range(FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE),
        _ => file.sync_data(),
    }
}

/// Counts an operation that was made. Fails on an error that means a damaged file system.
fn count(result: io::Result<()>, operations: &mut u64) {
    match result {
        Ok(()) => *operations += 1,
        Err(error) => {
            let number = error.raw_os_error();
            let is_damage = matches!(number, Some(libc::EIO | libc::EUCLEAN | libc::EROFS));
            assert!(!is_damage, "{error}");
        }
    }
}
