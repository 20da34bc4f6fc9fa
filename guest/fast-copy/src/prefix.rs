//! Finds the preopened directory that a path is in, by wasi-libc's rule.

use std::path::{Component, Path, PathBuf};

/// Returns the index of the name that is the longest prefix of `path`, by whole components, and the rest of
/// the path. Of equal names the last one counts.
///
/// A leading `/` or `./` of either is ignored, as in wasi-libc, which resolves paths for `std::fs`
/// (`__wasilibc_find_abspath` in its `preopens.c`).
pub(crate) fn longest_prefix<'n>(
    names: impl Iterator<Item = &'n str>,
    path: &Path,
) -> Option<(usize, PathBuf)> {
    let path = anchored(path);
    names
        .enumerate()
        .filter_map(|(index, name)| {
            let name = anchored(Path::new(name));
            let rest = path.strip_prefix(&name).ok()?;
            Some((name.components().count(), index, rest))
        })
        .max_by_key(|&(length, index, _)| (length, index))
        .map(|(_, index, rest)| (index, rest.to_owned()))
}

/// Returns the rest of a path as a path relative to its directory, or `None` if it is not UTF-8.
///
/// `Path` drops a trailing `/` or `/.`, but a path that ends so names a directory: this keeps a `/`.
pub(crate) fn relative_path(rest: &Path, path: &Path) -> Option<String> {
    let rest = match rest.to_str()? {
        "" => ".",
        rest => rest,
    };
    let spelling = path.as_os_str().as_encoded_bytes();
    let names_a_directory = spelling.ends_with(b"/") || spelling.ends_with(b"/.");
    let trailing = if names_a_directory { "/" } else { "" };
    Some(format!("{rest}{trailing}"))
}

/// Returns the path without a leading `/` or `.`.
fn anchored(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_resolves(names: &[&str], path: &str, expected: Option<(usize, &str)>) {
        let found = longest_prefix(names.iter().copied(), Path::new(path));
        let found =
            found.map(|(index, rest)| (index, relative_path(&rest, Path::new(path)).unwrap()));
        let expected = expected.map(|(index, rest)| (index, rest.to_owned()));
        assert_eq!(found, expected, "{path:?} in {names:?}");
    }

    #[test]
    fn the_longest_prefix_of_whole_components_counts() {
        let names = ["/", "/images", "/images/base"];
        for (path, expected) in [
            ("/images/base/a.img", (2, "a.img")),
            ("/images/base", (2, ".")),
            ("/images/bases/a.img", (1, "bases/a.img")),
            ("/images/a.img", (1, "a.img")),
            ("/imagesa.img", (0, "imagesa.img")),
            ("/etc", (0, "etc")),
            ("/", (0, "./")),
        ] {
            assert_resolves(&names, path, Some(expected));
        }
        assert_resolves(&["/images"], "/etc", None);
        assert_resolves(&[], "/etc", None);
    }

    #[test]
    fn a_leading_slash_or_dot_is_ignored() {
        for name in ["images", "/images", "./images", "images/", "/./images"] {
            for path in [
                "images/a",
                "/images/a",
                "./images/a",
                "/./images//a",
                "images/./a",
            ] {
                assert_resolves(&[name], path, Some((0, "a")));
            }
        }
        for name in [".", "/", "./", ""] {
            assert_resolves(&[name], "a", Some((0, "a")));
            assert_resolves(&[name], "/a", Some((0, "a")));
        }
    }

    #[test]
    fn of_equal_names_the_last_one_counts() {
        assert_resolves(&["/a", "/a", "/b"], "/a/x", Some((1, "x")));
        assert_resolves(&["a", "/a/", "."], "/a/x", Some((1, "x")));
        assert_resolves(&[".", "/"], "x", Some((1, "x")));
    }

    #[test]
    fn what_names_a_directory_still_does() {
        assert_resolves(&["/a"], "/a/b/", Some((0, "b/")));
        assert_resolves(&["/a"], "/a/b/.", Some((0, "b/")));
        assert_resolves(&["/a"], "/a/b/..", Some((0, "b/..")));
        assert_resolves(&["/a"], "/a/../b", Some((0, "../b")));
    }
}
