//! What a copy should return.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blocks;
use super::operation::{Copy, Options};
use super::state::{Entry, File, State};

/// The largest size that the host allows.
const MAX_SIZE: u64 = 16 << 40;

/// The errors for a path that ends in a separator: it depends on what is there.
pub const NOT_A_FILE: [&str; 5] = [
    "NotDirectory",
    "IsDirectory",
    "NoEntry",
    "NotPermitted",
    "Loop",
];

/// What a copy should return.
pub struct Prediction {
    /// The errors that it may return. If there is none, it succeeds.
    pub causes: BTreeSet<&'static str>,
    /// The name of the copy, and of its source, where the paths lead to names.
    pub dst: Option<String>,
    pub src: Option<String>,
    /// Whether the source is a file.
    pub has_source: bool,
    /// The names on the way to both.
    pub seen: BTreeSet<String>,
    /// The file that a successful copy makes.
    pub copy: Option<Expected>,
}

/// A successful copy.
#[derive(Clone)]
pub struct Expected {
    pub file: File,
    pub is_clone: bool,
    /// The least and the most bytes that are moved.
    pub copied: (u64, u64),
}

/// Predicts what a copy returns on a file system.
pub fn predict(state: &State, copy: &Copy, kind: &str, reflinks: bool) -> Prediction {
    let options = copy.options;
    let mut causes = BTreeSet::new();
    if options.require_reflink && (options.dig_holes || copy.sparse) {
        causes.insert("Invalid");
    }
    if options.size.is_some_and(|size| size > MAX_SIZE) {
        causes.insert("FileTooLarge");
    }

    let (mut src, mut dst, mut seen) = (None, None, BTreeSet::new());
    match state.resolve(&copy.src, options.symlink_follow, &mut seen) {
        _ if copy.src.ends_with('/') => causes.extend(NOT_A_FILE),
        Err(cause) => _ = causes.insert(cause),
        Ok(found) => {
            match state.entry(&found) {
                None => _ = causes.insert("NoEntry"),
                Some(Entry::Directory) => _ = causes.insert("IsDirectory"),
                Some(Entry::Fifo) => _ = causes.insert("NotRegularFile"),
                Some(Entry::Symlink(_)) => _ = causes.insert("Loop"),
                Some(Entry::File(_)) => {}
            }
            src = Some(found);
        }
    }
    let source = src.as_deref().and_then(|key| state.id(key));

    if copy.dst.ends_with('/') {
        causes.insert("Invalid");
    } else {
        match state.resolve(&copy.dst, false, &mut seen) {
            Err(cause) => _ = causes.insert(cause),
            Ok(found) => {
                if let Some(entry) = state.entry(&found) {
                    causes.extend(refusal(entry, options.replace));
                    let same = match entry {
                        Entry::Symlink(_) => state.resolve(&copy.dst, true, &mut seen).ok(),
                        _ => None,
                    };
                    let leads_to = same.unwrap_or_else(|| found.clone());
                    if source.is_some() && state.id(&leads_to) == source {
                        causes.insert("SameFile");
                    }
                }
                dst = Some(found);
            }
        }
    }

    let mut expected = None;
    if let Some(id) = source {
        let file = state.file(id);
        if options.size.is_some_and(|size| size < file.size()) {
            causes.insert("Invalid");
        }
        let is_clone = reflinks && !copy.sparse;
        if options.require_reflink && !is_clone {
            causes.insert("NotShareable");
        }
        if causes.is_empty() {
            expected = Some(expect(file, options, is_clone, kind));
        }
    }
    Prediction {
        causes,
        dst,
        src,
        has_source: source.is_some(),
        seen,
        copy: expected,
    }
}

/// Returns the error for a destination that exists.
fn refusal(entry: &Entry, replace: bool) -> Option<&'static str> {
    match (entry, replace) {
        (_, false) => Some("Exist"),
        (Entry::Directory, true) => Some("IsDirectory"),
        (Entry::Fifo, true) => Some("NotRegularFile"),
        (Entry::File(_) | Entry::Symlink(_), true) => None,
    }
}

/// Returns the file that a copy makes.
fn expect(source: &File, options: Options, is_clone: bool, kind: &str) -> Expected {
    let mut file = source.clone();
    file.mode &= 0o777;
    let not_zero = blocks::not_zero(&source.bytes);
    let mut copied = (0, 0);
    if !is_clone {
        let mut written = source.data() & blocks::touched(0..source.size());
        // Without FIEMAP, all blocks of zeros become holes.
        if options.dig_holes || kind == "tmpfs" {
            written &= not_zero;
        }
        file.keep_only(written);
        copied = (
            blocks::bytes_in(not_zero, source.size()),
            blocks::bytes_in(file.written, source.size()),
        );
    }
    match options.size {
        Some(size) if is_clone => file.resize(size),
        // The rest of it was never anything but a hole.
        Some(size) => Arc::make_mut(&mut file.bytes).resize(size as usize, 0),
        None => {}
    }
    file.cloned = is_clone;
    Expected {
        file,
        is_clone,
        copied,
    }
}
