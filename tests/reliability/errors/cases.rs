//! The copies whose system calls fail, and their source.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{KIB, MIB, allocated, inode, write_data};
use fast_copy_test_support::function::{Function, ONE_WORKER};
use wasmtime_fast_copy::{CopyOptions, CopyQuota, FreeSpaceFloor, Limits};

use super::filter::{self, Refusal};
use super::outcome::Outcome;

/// A copy. All have a quota and a floor of free space, as a host sets them, and preserve times.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub function: Function,
    pub replace: bool,
    pub durable: bool,
    /// The calls that fail in every run.
    pub refused: &'static [Refusal],
    /// The source has an extent that is long enough for read-ahead and early write-back.
    pub long: bool,
    pub lease: bool,
}

const NEW: Case = Case {
    function: Function::Sparse,
    replace: false,
    durable: true,
    refused: &[],
    long: false,
    lease: false,
};

/// Returns the cases for a file system. Without reflinks a fast copy is refused its clone and offloads, so
/// that needs no case of its own there.
pub fn all(reflinks: bool, long_form: bool) -> Vec<Case> {
    let functions = match reflinks {
        true => &[Function::Fast, Function::FastWithoutClone, Function::Sparse] as &[_],
        false => &[Function::Fast, Function::Sparse],
    };
    let mut cases = Vec::new();
    for &function in functions {
        for (replace, durable) in [(false, true), (true, false), (true, true), (false, false)] {
            if long_form || replace != durable {
                cases.push(Case {
                    function,
                    replace,
                    durable,
                    ..NEW
                });
            }
        }
    }
    let refusing = |refused| Case { refused, ..NEW };
    let replacing = |refused| Case {
        replace: true,
        ..refusing(refused)
    };
    let fast = Case {
        function: Function::Fast,
        ..NEW
    };
    cases.extend([
        // Staged under a name.
        refusing(&[filter::UNNAMED]),
        replacing(&[filter::UNNAMED]),
        Case {
            function: Function::Fast,
            ..replacing(&[filter::UNNAMED])
        },
        // A new name without RENAME_NOREPLACE: by a link, or over an empty file.
        refusing(&[filter::UNNAMED, filter::NO_REPLACE]),
        refusing(&[filter::UNNAMED, filter::NO_REPLACE, filter::ALL_LINKS]),
        // Staged without a name, which can't be linked by its descriptor, or not at all.
        refusing(&[filter::LINKS_OF_DESCRIPTORS]),
        replacing(&[filter::LINKS_OF_DESCRIPTORS]),
        refusing(&[filter::ALL_LINKS]),
        replacing(&[filter::ALL_LINKS]),
        // The directory can't be opened for reading.
        refusing(&[filter::DIRECTORIES]),
        // Copies that fail, and are discarded.
        refusing(&[filter::WRITES]),
        replacing(&[filter::UNNAMED, filter::WRITES]),
        Case { long: true, ..NEW },
        Case {
            refused: &[filter::CLONES],
            ..fast
        },
        Case {
            lease: true,
            ..fast
        },
        Case {
            function: Function::SparseTwoThreads,
            ..NEW
        },
    ]);
    cases
}

impl Case {
    pub fn has_two_threads(self) -> bool {
        self.function == Function::SparseTwoThreads
    }

    /// Whether the copy fails without an injection.
    pub fn fails(self) -> bool {
        self.refused.contains(&filter::WRITES)
    }

    /// Whether the last `fsync` is that of the directory.
    pub fn syncs_its_directory(self) -> bool {
        self.durable && !self.refused.contains(&filter::DIRECTORIES)
    }

    /// Whether all error numbers are tried in the long form, and not only the common ones.
    pub fn is_thorough(self) -> bool {
        self.refused.is_empty() && !self.long && !self.lease && self.replace != self.durable
    }

    /// Whether an empty file reserves the destination's name.
    pub fn reserves_its_name(self) -> bool {
        let refuses = |refusal| self.refused.contains(&refusal);
        refuses(filter::NO_REPLACE) && refuses(filter::ALL_LINKS)
    }

    pub fn title(self) -> String {
        let Self {
            function,
            replace,
            durable,
            refused,
            long,
            lease,
        } = self;
        let mut title = format!("{function:?}");
        for (applies, word) in [
            (replace, "replacing"),
            (!durable, "not durable"),
            (long, "long extent"),
            (lease, "lease"),
        ] {
            if applies {
                title += ", ";
                title += word;
            }
        }
        for refusal in refused {
            title += ", without ";
            title += refusal.name;
        }
        title
    }

    /// Copies, in the child.
    pub fn copy(self, files: &Files) -> Outcome {
        let quota = CopyQuota::new(u64::MAX);
        let limits = Limits::new()
            .quota(quota.clone())
            .free_space_floor(FreeSpaceFloor::of_bytes(1));
        let mut options = CopyOptions::new()
            .limits(limits)
            .replace(self.replace)
            .durable(self.durable)
            .lease_source(self.lease)
            .preserve_times(true);
        if !self.has_two_threads() {
            options = options.max_workers(ONE_WORKER);
        }
        let result = self.function.call(&options, &files.src, &files.dst);
        Outcome::of(result, quota.used(), quota.reserved())
    }
}

/// The permission bits of the source, with set-user-ID, which no copy gets.
const MODE: u32 = 0o4751;

/// The permission bits of a copy.
pub const COPIED_MODE: u32 = 0o751;

const OLD: &[u8] = b"old";

/// A source, and the place of its copy.
pub struct Files {
    pub dir: PathBuf,
    pub src: PathBuf,
    pub dst: PathBuf,
    pub content: Vec<u8>,
    /// The most bytes that may be allocated for a copy.
    pub written: u64,
    pub modified: (i64, i64),
    /// The inode of the old destination, if there is one.
    old: Option<u64>,
}

impl Files {
    /// Makes a source in an empty directory: short extents, holes between them, written zeros, preallocated blocks
    /// (more than the slack of [`Files::written`]) with data in them, and an extent of 260 KiB or more than 1 MiB.
    pub fn new(dir: &Path, long: bool) -> Self {
        let (src, dst) = (dir.join("src"), dir.join("dst"));
        let file = File::create(&src).unwrap();
        let end = 3 * MIB;
        file.set_len(end).unwrap();
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 64 * KIB, 512 * KIB).unwrap();
        let last = match long {
            true => MIB + 4 * KIB,
            false => 260 * KIB,
        };
        let mut data = 0;
        for range in [
            0..4 * KIB,
            16 * KIB..20 * KIB,
            32 * KIB..44 * KIB,
            72 * KIB..76 * KIB,
            MIB..MIB + last,
            end..end + 2,
        ] {
            data += (range.end - range.start).next_multiple_of(4 * KIB);
            write_data(&file, range);
        }
        let zeros = 64 * KIB;
        file.write_all_at(&vec![0; zeros as usize], 640 * KIB)
            .unwrap();
        fs::set_permissions(&src, PermissionsExt::from_mode(MODE)).unwrap();
        // Offloading needs blocks that are on the disk.
        file.sync_all().unwrap();
        let found = fs::metadata(&src).unwrap();
        Self {
            dir: dir.to_owned(),
            content: fs::read(&src).unwrap(),
            modified: (found.mtime(), found.mtime_nsec()),
            written: data + zeros + 64 * KIB,
            src,
            dst,
            old: None,
        }
    }

    /// Brings the destination back to its state before a copy: an old file if the copy is to replace one.
    pub fn reset(&mut self, replace: bool) {
        for entry in fs::read_dir(&self.dir).unwrap() {
            let path = entry.unwrap().path();
            if path != self.src {
                fs::remove_file(path).unwrap();
            }
        }
        self.old = replace.then(|| {
            fs::write(&self.dst, OLD).unwrap();
            inode(&self.dst)
        });
    }

    /// Whether the destination is as it was before the copy.
    pub fn is_as_before(&self) -> bool {
        match self.old {
            Some(old) => {
                fs::read(&self.dst).is_ok_and(|bytes| bytes == OLD) && inode(&self.dst) == old
            }
            None => !self.exists(),
        }
    }

    /// Whether there is a file at the destination.
    pub fn exists(&self) -> bool {
        fs::symlink_metadata(&self.dst).is_ok()
    }

    /// Returns the other names in the directory.
    pub fn other_names(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| *path != self.src && *path != self.dst)
            .collect()
    }

    /// Checks that a file is a complete copy. A clone can have as much allocated as its source.
    pub fn check_copy(&self, path: &Path, is_clone: bool) -> Result<(), String> {
        match fs::read(path) {
            Err(error) => return Err(format!("the copy can't be read: {error}")),
            Ok(bytes) if bytes.len() != self.content.len() => {
                return Err(format!("the copy has {} bytes", bytes.len()));
            }
            Ok(bytes) => {
                let differs = bytes.iter().zip(&self.content).position(|(a, b)| a != b);
                if bytes != self.content {
                    return Err(format!("the copy differs at byte {}", differs.unwrap_or(0)));
                }
            }
        }
        let allocated = allocated(path);
        match is_clone || allocated <= self.written {
            true => Ok(()),
            false => Err(format!(
                "{allocated} bytes are allocated, at most {} expected",
                self.written
            )),
        }
    }
}
