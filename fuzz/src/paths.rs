//! The target `paths`: any text as the path of a copy and as the names of preopened directories.
//!
//! The engine's split of a destination must agree with a split at the last slash, byte by byte. The directory that
//! the guest's library chooses must be the one that wasi-libc chooses.

#[path = "../../guest/fast-copy/src/prefix.rs"]
#[allow(dead_code, unused_imports, reason = "its unit tests, which run there")]
mod guest;

use std::io;
use std::path::{Component, Path};

use fast_copy_engine::{CopyErrorKind, Destination};

/// Runs the target. The first line is the path, the others are names of directories.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let path = lines.next().unwrap_or_default();
    check_split(path);
    // A C string ends at a NUL, so wasi-libc has no answer for one.
    if !text.contains('\0') {
        check_prefix(&lines.collect::<Vec<_>>(), path);
    }
}

fn check_split(path: &str) {
    let (before, last) = match path.rfind('/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => ("", path),
    };
    let (parent, name) = match Destination::split(Path::new(path)) {
        Ok(split) => split,
        Err(error) => {
            assert!(matches!(last, "" | "." | ".."), "{path:?} is refused");
            match error.kind() {
                CopyErrorKind::Os(os) => {
                    assert_eq!((path, os.kind()), ("", io::ErrorKind::NotFound));
                }
                CopyErrorKind::Invalid(_) => assert_ne!(path, ""),
                other => panic!("{path:?}: {other:?}"),
            }
            return;
        }
    };
    assert!(!matches!(last, "" | "." | ".."), "{path:?} has no name");
    assert_eq!(name.as_encoded_bytes(), last.as_bytes(), "{path:?}");
    // The directory has the same components: those that are left out are empty or a dot.
    let expected = before
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(|part| match part {
            ".." => Component::ParentDir,
            _ => Component::Normal(part.as_ref()),
        });
    let found = parent
        .components()
        .filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    assert!(found.eq(expected), "{path:?} is split into {parent:?}");
    assert_eq!(parent.is_absolute(), path.starts_with('/'), "{path:?}");
    assert!(!parent.as_os_str().is_empty(), "{path:?}");
}

fn check_prefix(names: &[&str], path: &str) {
    let found = guest::longest_prefix(names.iter().copied(), path);
    let expected = wasi_libcs_choice(names, path);
    assert_eq!(found, expected, "{path:?} in {names:?}");
    if let Some((_, rest)) = found {
        assert!(!rest.is_empty() && !rest.starts_with('/'), "{path:?}");
    }
}

/// Finds the directory as `__wasilibc_find_abspath` does (libc-bottom-half/sources/preopens.c).
fn wasi_libcs_choice<'p>(names: &[&str], path: &'p str) -> Option<(usize, &'p str)> {
    let path = strip_prefixes(path);
    let mut best: Option<(usize, usize)> = None;
    for (index, name) in names.iter().enumerate().rev() {
        let name = strip_prefixes(name);
        let is_longer = best.is_none_or(|(_, length)| name.len() > length);
        if is_longer && prefix_matches(name.as_bytes(), path.as_bytes()) {
            best = Some((index, name.len()));
        }
    }
    let (index, length) = best?;
    let mut rest = &path[length..];
    while let Some(shorter) = rest.strip_prefix('/') {
        rest = shorter;
    }
    Some((index, if rest.is_empty() { "." } else { rest }))
}

fn strip_prefixes(path: &str) -> &str {
    let bytes = path.as_bytes();
    let mut at = 0;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), _) => at += 1,
            (Some(b'.'), Some(b'/')) => at += 2,
            (Some(b'.'), None) => at += 1,
            _ => return &path[at..],
        }
    }
}

fn prefix_matches(prefix: &[u8], path: &[u8]) -> bool {
    if prefix.is_empty() && path.first() != Some(&b'/') {
        return true;
    }
    if path.len() < prefix.len() || path[..prefix.len()] != *prefix {
        return false;
    }
    let mut i = prefix.len();
    while i > 0 && prefix[i - 1] == b'/' {
        i -= 1;
    }
    matches!(path.get(i), None | Some(b'/'))
}
