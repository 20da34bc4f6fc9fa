//! Compares the directory with the model.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::blocks;
use super::operation::Copy;
use super::predict::Expected;
use super::state::{DIRECTORY, Entry, State};

/// Compares one name.
pub fn name(root: &Path, state: &State, key: &str) -> Result<(), String> {
    let path = root.join(key);
    let found = match fs::symlink_metadata(&path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{key:?}: {error}")),
    };
    let (entry, found) = match (state.entry(key), found) {
        (None, None) => return Ok(()),
        (Some(entry), Some(found)) => (entry, found),
        (entry, found) => {
            return Err(format!(
                "{key:?} is {:?}, expected {entry:?}",
                found.map(|it| it.file_type())
            ));
        }
    };
    let kind = found.file_type();
    let is_right = match entry {
        Entry::File(_) => kind.is_file(),
        Entry::Symlink(target) => {
            fs::read_link(&path).is_ok_and(|found| found == Path::new(target))
        }
        Entry::Fifo => kind.is_fifo(),
        Entry::Directory => kind.is_dir(),
    };
    if !is_right {
        return Err(format!("{key:?} is {kind:?}, expected {entry:?}"));
    }
    let Entry::File(id) = entry else {
        return Ok(());
    };
    let file = state.file(*id);
    if found.mode() & 0o7777 != file.mode {
        return Err(format!(
            "{key:?} has the mode {:o}, expected {:o}",
            found.mode(),
            file.mode
        ));
    }
    if found.len() != file.size() {
        return Err(format!(
            "{key:?} has {} bytes, expected {}",
            found.len(),
            file.size()
        ));
    }
    let bytes = fs::read(&path).map_err(|error| format!("{key:?}: {error}"))?;
    if bytes != *file.bytes {
        let at = bytes
            .iter()
            .zip(file.bytes.iter())
            .position(|(found, expected)| found != expected);
        return Err(format!("{key:?} differs from the model at byte {at:?}"));
    }
    Ok(())
}

/// Compares which names there are: a staging name is one too many.
pub fn names(root: &Path, state: &State) -> Result<(), String> {
    let mut found = Vec::new();
    for (dir, prefix) in [(root.to_owned(), ""), (root.join(DIRECTORY), "d/")] {
        for entry in fs::read_dir(dir).map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            found.push(format!("{prefix}{}", name.to_string_lossy()));
        }
    }
    found.sort();
    match found.iter().eq(state.names.keys()) {
        true => Ok(()),
        false => Err(format!(
            "the names are {found:?}, expected {:?}",
            state.names.keys()
        )),
    }
}

/// Compares everything.
pub fn everything(root: &Path, state: &State) -> Result<(), String> {
    names(root, state)?;
    state
        .names
        .keys()
        .try_for_each(|key| name(root, state, key))
}

/// The times of a file: the last modification and the last access.
pub type Times = [(i64, i64); 2];

pub fn times(path: &Path) -> Option<Times> {
    let found = fs::metadata(path).ok()?;
    Some([
        (found.mtime(), found.mtime_nsec()),
        (found.atime(), found.atime_nsec()),
    ])
}

/// The report of a copy, from the guest's answer.
#[derive(Debug)]
pub struct Report {
    pub is_clone: bool,
    method: String,
    size: u64,
    copied: u64,
    allocated: u64,
    durable: bool,
    notes: u64,
}

impl Report {
    /// Parses `METHOD SIZE COPIED ALLOCATED DURABLE NOTES`.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [method, size, copied, allocated, durable, notes] = words[..] else {
            return None;
        };
        Some(Self {
            is_clone: method == "CopyMethod::Reflink",
            method: method.to_owned(),
            size: size.parse().ok()?,
            copied: copied.parse().ok()?,
            allocated: allocated.parse().ok()?,
            durable: durable.parse().ok()?,
            notes: notes.parse().ok()?,
        })
    }

    /// Returns what the quota is charged.
    pub fn charge(&self) -> u64 {
        self.allocated.max(self.copied)
    }

    /// Compares the report with what was expected of the copy.
    pub fn check(&self, copy: &Copy, expected: &Expected, most: u64) -> Result<(), String> {
        let (least_copied, most_copied) = expected.copied;
        let is_right = self.is_clone == expected.is_clone
            && (self.method != "CopyMethod::Offload" || !copy.sparse)
            && self.size == expected.file.size()
            && (least_copied..=most_copied).contains(&self.copied)
            && self.allocated <= most
            && self.durable == copy.options.durable
            && self.notes == 0;
        match is_right {
            true => Ok(()),
            false => Err(format!(
                "the report is {self:?}, expected a clone: {}, {} bytes, between {least_copied} and {most_copied} \
                 copied, at most {most} allocated",
                expected.is_clone,
                expected.file.size()
            )),
        }
    }
}

/// Returns the most bytes that a file system allocates for a copy. A clone has what its source has.
pub fn most_allocated(expected: &Expected, kind: &str, source: u64) -> u64 {
    if expected.is_clone {
        // A clone that is enlarged gets its last block for itself, and on XFS 128 KiB beside it (docs/limits.md).
        let enlarged = match kind {
            "xfs" => 132 << 10,
            _ => blocks::BLOCK,
        };
        return source + enlarged;
    }
    let data = u64::from(expected.file.written.count_ones()) * blocks::BLOCK;
    let metadata = match kind {
        // One block for the extent tree of a file with more than four extents.
        "ext4" => blocks::BLOCK,
        _ => 0,
    };
    data + metadata
}
