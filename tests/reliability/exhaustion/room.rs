//! A lack of room: blocks, a quota of the file system, and the largest size of a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fast_copy_test_support::files::{KIB, MIB, allocated};
use fast_copy_test_support::filesystems::{FileSystem, Small, smallest};
use fast_copy_test_support::program::{administrative, run};
use fast_copy_test_support::scale::scaled;
use fastrand::Rng;
use rustix::fs::{FallocateFlags, fallocate, statvfs, syncfs};
use rustix::io::Errno;

use super::attempt::{Attempt, Place};
use super::{Tally, seed};

/// What a file system may keep for its metadata after a failed copy, in bytes: inodes, and the blocks of its trees.
const METADATA: u64 = MIB;

/// Room that can be taken away and given back.
trait Room {
    /// Leaves about this many bytes.
    fn leave(&mut self, bytes: u64);

    /// Gives everything back.
    fn give_back(&mut self);

    /// Returns how many bytes are taken. Waits until the file system has committed: some count a change only then.
    fn taken(&self) -> u64;
}

/// The blocks of a file system. A filler takes them.
struct Blocks {
    root: PathBuf,
    filler: File,
}

impl Blocks {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            filler: File::create(root.join("filler")).unwrap(),
        }
    }
}

impl Room for Blocks {
    fn leave(&mut self, bytes: u64) {
        let stat = statvfs(&self.root).unwrap();
        let mut take = (stat.f_bavail * stat.f_frsize).saturating_sub(bytes);
        // The file system needs a part of it for metadata.
        while take > 0 {
            match fallocate(&self.filler, FallocateFlags::empty(), 0, take) {
                Ok(()) => return,
                Err(Errno::NOSPC) => take = take.saturating_sub(256 * KIB),
                Err(error) => panic!("the filler: {error}"),
            }
        }
    }

    fn give_back(&mut self) {
        self.filler.set_len(0).unwrap();
        syncfs(&self.filler).unwrap();
    }

    fn taken(&self) -> u64 {
        syncfs(&self.filler).unwrap();
        let stat = statvfs(&self.root).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

/// The quota of a subvolume of btrfs. It is set through the root of the file system, where it is never full.
struct Quota {
    root: PathBuf,
    subvolume: PathBuf,
    group: String,
}

impl Quota {
    fn new(root: &Path) -> Self {
        let subvolume = root.join("subvolume");
        btrfs(&["quota", "enable"], root);
        btrfs(&["subvolume", "create"], &subvolume);
        let id = output_of_btrfs(&["inspect-internal", "rootid"], &subvolume);
        Self {
            root: root.to_owned(),
            subvolume,
            group: format!("0/{}", id.trim()),
        }
    }

    fn limit(&self, most: &str) {
        btrfs(&["qgroup", "limit", most, &self.group], &self.root);
    }
}

impl Room for Quota {
    fn leave(&mut self, bytes: u64) {
        self.limit(&(self.taken() + bytes).to_string());
    }

    fn give_back(&mut self) {
        self.limit("none");
    }

    /// Returns what the subvolume refers to.
    fn taken(&self) -> u64 {
        syncfs(File::open(&self.subvolume).unwrap()).unwrap();
        let text = output_of_btrfs(&["qgroup", "show", "--raw", "-f"], &self.subvolume);
        let referred = text
            .lines()
            .last()
            .and_then(|line| line.split_whitespace().nth(1));
        referred
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or_else(|| panic!("no quota: {text}"))
    }
}

fn btrfs(arguments: &[&str], path: &Path) {
    run(administrative("btrfs").args(arguments).arg(path));
}

fn output_of_btrfs(arguments: &[&str], path: &Path) -> String {
    let mut command = administrative("btrfs");
    let output = command.args(arguments).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Makes copies with random amounts of room.
fn copy_at_levels(resource: &str, fs: &str, dir: &Path, room: &mut dyn Room, runs: usize) {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let mut place = Place::new(dir, 3 * MIB, &mut rng);
    let enough = allocated(&place.src()) * 5 / 4;
    let mut tally = Tally::default();
    for _ in 0..runs {
        let attempt = Attempt::random(&mut rng);
        room.give_back();
        place.reset(&attempt);
        room.leave(rng.u64(..=enough));
        let (taken, open) = (room.taken(), descriptors_below(dir));
        tally.count(place.copy(&attempt).and_then(|error| {
            if error.is_some() {
                is_released(taken, room)?;
            }
            let left_open = descriptors_below(dir) - open;
            if left_open != 0 {
                return Err(format!(
                    "{attempt:?}: {left_open} descriptors are left open"
                ));
            }
            if error.is_some() {
                room.give_back();
                place.reset(&attempt);
                if let Some(again) = place.copy(&attempt)? {
                    return Err(format!("{attempt:?}: {again}, with all room again"));
                }
            }
            Ok(error)
        }));
        if tally.has_violation() {
            // What it has left disturbs the next copies.
            break;
        }
    }
    tally.conclude(resource, fs, seed);
}

/// Waits until no more is taken than before.
fn is_released(before: u64, room: &dyn Room) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let taken = room.taken();
        if taken <= before + METADATA {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{} bytes stay allocated", taken - before));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Counts the descriptors of this process that refer to files below a directory.
fn descriptors_below(dir: &Path) -> usize {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    // Other tests close theirs at any time.
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.starts_with(dir)).count()
}

pub fn a_lack_of_blocks_is_an_error(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name) + 64 * MIB);
    let mut blocks = Blocks::new(&small.root);
    let runs = scaled(2500, 40);
    copy_at_levels("blocks", fs.name, &small.root, &mut blocks, runs);
}

pub fn a_full_quota_of_the_file_system_is_an_error(fs: &FileSystem) {
    let small = Small::new(fs.name, smallest(fs.name) + 64 * MIB);
    let mut quota = Quota::new(&small.root);
    let subvolume = quota.subvolume.clone();
    let runs = scaled(1500, 30);
    copy_at_levels(
        "quota of the file system",
        fs.name,
        &subvolume,
        &mut quota,
        runs,
    );
}

/// The copies are larger than their source, by a hole.
pub fn a_file_above_the_limit_of_the_file_system_is_an_error(fs: &FileSystem) {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let dir = fs.dir();
    let mut place = Place::new(dir.path(), MIB, &mut rng);
    let largest = largest_size(&dir.path().join("filler"));
    let mut tally = Tally::default();
    for _ in 0..scaled(2000, 60) {
        let attempt = Attempt::random(&mut rng);
        let size = rng.u64(largest - 64 * KIB..=largest + 64 * KIB);
        let larger = attempt.with_size(size);
        place.reset(&larger);
        tally.count(place.copy(&larger).and_then(|error| {
            if error.is_none() != (size <= largest) {
                return Err(format!(
                    "{larger:?}: {error:?}, and {largest} is the largest size"
                ));
            }
            place.reset(&attempt);
            match place.copy(&attempt)? {
                Some(again) => Err(format!("{attempt:?}: {again}")),
                None => Ok(error),
            }
        }));
    }
    tally.conclude("file size of the file system", fs.name, seed);
}

/// Finds the largest size that a file can have.
fn largest_size(path: &Path) -> u64 {
    let file = File::create(path).unwrap();
    let (mut possible, mut too_large) = (0, i64::MAX as u64);
    while too_large - possible > 1 {
        let middle = possible + (too_large - possible) / 2;
        match file.set_len(middle) {
            Ok(()) => possible = middle,
            Err(_) => too_large = middle,
        }
    }
    fs::remove_file(path).unwrap();
    possible
}
