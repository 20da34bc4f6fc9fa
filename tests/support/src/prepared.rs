//! A source to be copied by one way, as often as need be, and what must hold of each of its copies.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmtime_fast_copy::STAGING_PREFIX;

use crate::files::{KIB, MIB, allocated, exists, names, same_content, write_data};
use crate::filesystems::FileSystem;
use crate::outcome::Outcome;
use crate::traced::{Call, Copy, Stopped};
use crate::ways::{Way, ways_on};

/// All ways that this file system knows, each with a source of its own.
pub fn prepared(fs: &FileSystem) -> impl Iterator<Item = Prepared> {
    ways_on(fs).map(|way| Prepared::new(way, fs, fs.dir()))
}

/// The source's permission bits, with one that no copy gets.
const MODE: u32 = 0o4751;

/// What a copy may have of them.
const COPIED_MODE: u32 = 0o751;

const OLD: &str = "old";

/// A directory with a source in it, to be copied by one way as often as need be.
pub struct Prepared {
    pub way: &'static Way,
    pub src: PathBuf,
    pub dst: PathBuf,
    dir: TempDir,
    options: Vec<&'static str>,
    injections: Vec<String>,
    /// What may be allocated of the copy: what the source has that was written.
    written: u64,
}

impl Prepared {
    pub fn new(way: &'static Way, fs: &FileSystem, dir: TempDir) -> Self {
        let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
        let (data, zeros) = thorny_file(&src, way.by_two);
        let mut injections: Vec<_> = way.injections.iter().map(|one| one.to_string()).collect();
        if way.named {
            let number = Copy::new(way.function, &src, &dst).number_of("openat", "O_TMPFILE");
            injections.push(format!("openat:error=EOPNOTSUPP:when={number}"));
        }
        // Without FIEMAP nobody can tell which zeros were written.
        let digs = way.digs || !fs.has_fiemap();
        Self {
            way,
            src,
            dst,
            dir,
            options: way.options.to_vec(),
            injections,
            written: if digs { data } else { data + zeros },
        }
    }

    /// Whether a call is tampered with already, so that the copy comes this way: strace can do one
    /// thing to a call.
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

    /// Puts everything back to how it was before a copy.
    fn reset(&self) {
        let _ = fs::remove_file(&self.dst);
        if self.way.replaces {
            fs::write(&self.dst, OLD).unwrap();
        }
    }

    /// Copies, with more options and more calls tampered with.
    pub fn run(&self, options: &[&str], injections: &[&str]) -> Outcome {
        self.with(options, injections, |copy, injections| {
            copy.run_injected(injections)
        })
    }

    /// Copies and returns the outcome, with all calls that the copy made.
    pub fn calls(&self) -> (Outcome, Vec<Call>) {
        // So that each of two threads has a batch before the other one has moved all.
        let hold: &[&str] = match self.way.by_two {
            true => &["pwrite64:delay_enter=100000:when=3"],
            false => &[],
        };
        self.with(&[], hold, |copy, injections| copy.calls(injections))
    }

    /// Starts a copy, to be stopped when it has made the given call.
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
            Copy::new(self.way.function, &self.src, &self.dst).options(&options),
            &injections,
        )
    }

    /// That a copy came by this way.
    #[track_caller]
    pub fn assert_taken(&self, outcome: &Outcome, calls: &[Call]) {
        let name = self.way.name;
        if let Err(missing) = (self.way.taken)(outcome, calls, self.written, self.size()) {
            let lines: Vec<_> = calls.iter().map(|call| short(&call.line)).collect();
            panic!("{name}: {missing}: {outcome:?}, {lines:#?}");
        }
    }

    /// That the destination is as it was before the copy, and that nothing else is left.
    #[track_caller]
    pub fn assert_as_before(&self, what: &str) {
        let name = self.way.name;
        assert!(
            self.is_as_before(),
            "{name}: {what}: the destination has changed"
        );
        self.assert_nothing_else(what);
    }

    pub fn is_as_before(&self) -> bool {
        match self.way.replaces {
            true => fs::read(&self.dst).is_ok_and(|bytes| bytes == OLD.as_bytes()),
            false => !exists(&self.dst),
        }
    }

    /// That the copy is complete, no denser and no more open than its source, and that nothing else
    /// is left.
    #[track_caller]
    pub fn assert_complete(&self, what: &str) {
        self.assert_cloned(what);
        if !self.way.clones() {
            // What the file system needs for its own records of it.
            let (allocated, most) = (allocated(&self.dst), self.written + 64 * KIB);
            let name = self.way.name;
            assert!(
                allocated <= most,
                "{name}: {what}: {allocated} bytes for {most}"
            );
        }
    }

    /// The same, but for what is allocated: a clone has what its source has.
    #[track_caller]
    pub fn assert_cloned(&self, what: &str) {
        let name = self.way.name;
        if let Err(difference) = same_content(&self.src, &self.dst) {
            panic!("{name}: {what}: {difference}");
        }
        let mode = fs::metadata(&self.dst).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            mode & !COPIED_MODE,
            0,
            "{name}: {what}: the mode is {mode:o}"
        );
        self.assert_nothing_else(what);
    }

    /// That the copy has all permission bits that it may have.
    #[track_caller]
    pub fn assert_mode(&self) {
        let mode = fs::metadata(&self.dst).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, COPIED_MODE, "{}", self.way.name);
    }

    #[track_caller]
    fn assert_nothing_else(&self, what: &str) {
        let names = names(self.dir());
        let known = |name: &String| ["src", "dst", "lost+found"].contains(&name.as_str());
        assert!(
            names.iter().all(known),
            "{}: {what}: {names:?}",
            self.way.name
        );
    }

    /// Takes away the one name that a kill may leave, if it is there.
    #[track_caller]
    pub fn sweep(&self) -> Option<PathBuf> {
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

/// A source with all that makes copying hard: holes, zeros that were written and blocks that nobody
/// wrote, both of which look like data, and an odd end. All of it is on the disk. Returns how many
/// bytes of data it has, and how many zeros that were written, in blocks.
///
/// A `long` one has extents for more than two batches, and pieces that the disk is told of early.
fn thorny_file(path: &Path, long: bool) -> (u64, u64) {
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
    // Now the page cache holds all of it.
    fs::read(path).unwrap();
    let bytes = data
        .iter()
        .map(|range| range.end - range.start)
        .sum::<u64>();
    (bytes + block, zeros)
}
