//! A source for repeated copies by one strategy, and assertions about each copy.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmtime_fast_copy::STAGING_PREFIX;

use crate::files::{KIB, MIB, allocated, exists, names, same_content, write_data};
use crate::filesystems::FileSystem;
use crate::outcome::Outcome;
use crate::strategies::{Strategy, strategies_on};
use crate::traced::{Call, Copy, Stopped};

/// Returns a source for each strategy that applies to the file system.
pub fn prepared(fs: &FileSystem) -> impl Iterator<Item = Prepared> {
    strategies_on(fs).map(|strategy| Prepared::new(strategy, fs, fs.dir()))
}

/// The permission bits of the source, with set-user-ID, which no copy gets.
const MODE: u32 = 0o4751;

/// The permission bits of a copy.
const COPIED_MODE: u32 = 0o751;

const OLD: &str = "old";

/// A directory with a source in it, for repeated copies by one strategy.
pub struct Prepared {
    pub strategy: &'static Strategy,
    pub src: PathBuf,
    pub dst: PathBuf,
    dir: TempDir,
    options: Vec<&'static str>,
    injections: Vec<String>,
    /// The most bytes that may be allocated of a copy: the written ones of the source.
    written: u64,
}

impl Prepared {
    pub fn new(strategy: &'static Strategy, fs: &FileSystem, dir: TempDir) -> Self {
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        let (data, zeros) = difficult_source(&src, strategy.two_threads);
        let mut injections: Vec<_> = strategy
            .injections
            .iter()
            .map(|one| one.to_string())
            .collect();
        if strategy.named {
            injections.push(Copy::new(strategy.function, &src, &dst).without_unnamed_files());
        }
        // Without FIEMAP, written zeros can't be told from preallocated blocks.
        let digs = strategy.digs || !fs.has_fiemap();
        Self {
            strategy,
            src,
            dst,
            dir,
            options: strategy.options.to_vec(),
            injections,
            written: if digs { data } else { data + zeros },
        }
    }

    /// Whether the strategy needs an injection into this call: strace takes only one for each call.
    pub fn needs(&self, call: &str) -> bool {
        self.injections
            .iter()
            .any(|one| one.split(':').next() == Some(call))
    }

    pub fn size(&self) -> u64 {
        fs::metadata(&self.src).unwrap().len()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Restores the destination to its state before a copy.
    fn reset(&self) {
        let _ = fs::remove_file(&self.dst);
        if self.strategy.replaces {
            fs::write(&self.dst, OLD).unwrap();
        }
    }

    /// Copies, with more options and more injections.
    pub fn run(&self, options: &[&str], injections: &[&str]) -> Outcome {
        self.with(options, injections, |copy, injections| {
            copy.run_injected(injections)
        })
    }

    /// Copies. Also returns the system calls of the copy.
    pub fn calls(&self) -> (Outcome, Vec<Call>) {
        // The delay gives each of two threads a batch before the other one has moved all of them.
        let hold: &[&str] = match self.strategy.two_threads {
            true => &["pwrite64:delay_enter=100000:when=3"],
            false => &[],
        };
        self.with(&[], hold, |copy, injections| copy.calls(injections))
    }

    /// Starts a copy, and waits until it is stopped at the given call.
    pub fn start_and_stop_at(&self, call: &str) -> Stopped {
        self.with(&[], &[], |copy, injections| {
            copy.start_and_stop_at(call, injections)
        })
    }

    fn with<T>(
        &self,
        options: &[&str],
        injections: &[&str],
        run: impl FnOnce(Copy<'_>, &[&str]) -> T,
    ) -> T {
        self.reset();
        let options: Vec<&str> = self
            .options
            .iter()
            .copied()
            .chain(options.iter().copied())
            .collect();
        let own = self.injections.iter().map(String::as_str);
        let injections: Vec<&str> = own.chain(injections.iter().copied()).collect();
        run(
            Copy::new(self.strategy.function, &self.src, &self.dst).options(&options),
            &injections,
        )
    }

    /// Asserts that a copy used the strategy.
    #[track_caller]
    pub fn assert_strategy(&self, outcome: &Outcome, calls: &[Call]) {
        let name = self.strategy.name;
        if let Err(missing) = (self.strategy.check)(outcome, calls, self.written, self.size()) {
            let lines: Vec<_> = calls.iter().map(|call| short(&call.line)).collect();
            panic!("{name}: {missing}: {outcome:?}, {lines:#?}");
        }
    }

    /// Asserts that the destination is as it was before the copy, and that no other name is left.
    #[track_caller]
    pub fn assert_as_before(&self, what: &str) {
        let name = self.strategy.name;
        assert!(
            self.is_as_before(),
            "{name}: {what}: the destination has changed"
        );
        self.assert_no_other_name(what);
    }

    pub fn is_as_before(&self) -> bool {
        match self.strategy.replaces {
            true => fs::read(&self.dst).is_ok_and(|bytes| bytes == OLD.as_bytes()),
            false => !exists(&self.dst),
        }
    }

    /// Asserts that the copy is complete, has no more allocated and no more permissions than its source,
    /// and that no other name is left.
    #[track_caller]
    pub fn assert_complete(&self, what: &str) {
        self.assert_cloned(what);
        if !self.strategy.clones() {
            // 64 KiB for the file system's metadata.
            let (allocated, most) = (allocated(&self.dst), self.written + 64 * KIB);
            let name = self.strategy.name;
            assert!(
                allocated <= most,
                "{name}: {what}: {allocated} bytes allocated, at most {most} expected"
            );
        }
    }

    /// Asserts the same but for what is allocated, where a clone has what its source has.
    #[track_caller]
    pub fn assert_cloned(&self, what: &str) {
        let name = self.strategy.name;
        if let Err(difference) = same_content(&self.src, &self.dst) {
            panic!("{name}: {what}: {difference}");
        }
        let mode = fs::metadata(&self.dst).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            mode & !COPIED_MODE,
            0,
            "{name}: {what}: the mode is {mode:o}"
        );
        self.assert_no_other_name(what);
    }

    /// Asserts that the copy has all permission bits of the source but set-user-ID.
    #[track_caller]
    pub fn assert_mode(&self) {
        let mode = fs::metadata(&self.dst).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, COPIED_MODE, "{}", self.strategy.name);
    }

    #[track_caller]
    fn assert_no_other_name(&self, what: &str) {
        let names = names(self.dir());
        let known = |name: &String| ["src", "dst", "lost+found"].contains(&name.as_str());
        assert!(
            names.iter().all(known),
            "{}: {what}: {names:?}",
            self.strategy.name
        );
    }

    /// Returns the staging name that a kill has left, if there is one.
    #[track_caller]
    pub fn staging_name(&self) -> Option<PathBuf> {
        let left = |name: &String| {
            name.strip_prefix(STAGING_PREFIX).is_some_and(|digits| {
                digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
        };
        let name = names(self.dir()).into_iter().find(left)?;
        Some(self.dir().join(name))
    }
}

fn short(line: &str) -> &str {
    line.get(..120).unwrap_or(line)
}

/// Makes a source with data, holes, written zeros and preallocated blocks, both of which `SEEK_DATA`
/// reports as data, and an end that is not a multiple of the block size. All of it is on the disk.
/// Returns the bytes of data and of written zeros, in whole blocks.
///
/// A `long` source has extents for more than two batches, and pieces that are long enough for early
/// writeback.
fn difficult_source(path: &Path, long: bool) -> (u64, u64) {
    let block = 4 * KIB;
    let mut data = vec![
        0..64 * KIB,
        MIB..MIB + 200 * KIB,
        2 * MIB + 64 * KIB..2 * MIB + 68 * KIB,
    ];
    let mut end = 3 * MIB;
    if long {
        data.push(3 * MIB..4 * MIB + block);
        data.extend((0..300).map(|i| 5 * MIB + 2 * i * block..5 * MIB + (2 * i + 1) * block));
        data.push(8 * MIB..9 * MIB + 512 * KIB);
        end = 10 * MIB;
    }
    let (zeros, preallocated) = (256 * KIB, 256 * KIB);
    let file = File::create(path).unwrap();
    file.set_len(end).unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&file, flags, 2 * MIB, preallocated).unwrap();
    for range in &data {
        write_data(&file, range.clone());
    }
    write_data(&file, end..end + 1);
    let after_data = MIB + 200 * KIB;
    file.write_all_at(&vec![0; zeros as usize], after_data)
        .unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(MODE)).unwrap();
    file.sync_all().unwrap();
    // This brings all of it into the page cache.
    fs::read(path).unwrap();
    let bytes = data
        .iter()
        .map(|range| range.end - range.start)
        .sum::<u64>();
    (bytes + block, zeros)
}
