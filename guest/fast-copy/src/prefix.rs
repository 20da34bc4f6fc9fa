//! Finds the preopened directory that a path is in, by wasi-libc's rule.

/// Returns the index of the name that is the longest prefix of `path`, by whole components, and the rest of
/// the path. Of names of equal length the last one counts.
///
/// A leading `/` or `./` of either is ignored. The rest of both is compared byte by byte, as wasi-libc does
/// for `std::fs` (`__wasilibc_find_abspath` in its `preopens.c`): `a//b` is not in the directory `a/b`, but in
/// `a`.
pub(crate) fn longest_prefix<'n, 'p>(
    names: impl Iterator<Item = &'n str>,
    path: &'p str,
) -> Option<(usize, &'p str)> {
    let path = anchored(path);
    let (index, length) = names
        .map(anchored)
        .enumerate()
        .filter(|(_, name)| is_prefix(name, path))
        .map(|(index, name)| (index, name.len()))
        .max_by_key(|&(index, length)| (length, index))?;
    let rest = path[length..].trim_start_matches('/');
    Some((index, if rest.is_empty() { "." } else { rest }))
}

/// Returns a path without its leading `/` and `./`.
fn anchored(mut path: &str) -> &str {
    loop {
        path = match path.strip_prefix('/').or_else(|| path.strip_prefix("./")) {
            Some(rest) => rest,
            None if path == "." => return "",
            None => return path,
        };
    }
}

/// Returns whether a path is that of a directory, or of something in it.
fn is_prefix(name: &str, path: &str) -> bool {
    let ends_component = path.as_bytes().get(name.trim_end_matches('/').len());
    name.is_empty() || path.starts_with(name) && matches!(ends_component, None | Some(b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_resolves(names: &[&str], path: &str, expected: Option<(usize, &str)>) {
        let found = longest_prefix(names.iter().copied(), path);
        assert_eq!(found, expected, "{path:?} in {names:?}");
    }

    #[test]
    fn the_longest_prefix_of_whole_components_counts() {
        let names = ["/", "/images", "/images/base"];
        for (path, expected) in [
            ("/images/base/a.img", (2, "a.img")),
            ("/images/base", (2, ".")),
            ("/images/base/", (2, ".")),
            ("/images/bases/a.img", (1, "bases/a.img")),
            ("/images/a.img", (1, "a.img")),
            ("/imagesa.img", (0, "imagesa.img")),
            ("/etc", (0, "etc")),
            ("/", (0, ".")),
        ] {
            assert_resolves(&names, path, Some(expected));
        }
        assert_resolves(&["/images"], "/etc", None);
        assert_resolves(&[], "/etc", None);
    }

    #[test]
    fn a_leading_slash_or_dot_is_ignored() {
        for name in ["images", "/images", "./images", "/./images"] {
            for path in ["images/a", "/images/a", "./images/a", "/./images//a"] {
                assert_resolves(&[name], path, Some((0, "a")));
            }
        }
        for name in [".", "/", "./", ""] {
            assert_resolves(&[name], "a", Some((0, "a")));
            assert_resolves(&[name], "/a", Some((0, "a")));
        }
    }

    #[test]
    fn what_is_inside_is_compared_byte_by_byte() {
        let names = ["/images", "/images/base"];
        assert_resolves(&names, "/images//base/x", Some((0, "base/x")));
        assert_resolves(&names, "/images/./base/x", Some((0, "./base/x")));
        assert_resolves(&["a/"], "a/x", Some((0, "x")));
        assert_resolves(&["a/"], "a", None);
    }

    #[test]
    fn of_equal_names_the_last_one_counts() {
        assert_resolves(&["/a", "/a", "/b"], "/a/x", Some((1, "x")));
        assert_resolves(&["a", "/a", "."], "/a/x", Some((1, "x")));
        assert_resolves(&["a/", "a"], "/a/x", Some((0, "x")));
        assert_resolves(&[".", "/"], "x", Some((1, "x")));
    }

    #[test]
    fn what_names_a_directory_still_does() {
        assert_resolves(&["/a"], "/a/b/", Some((0, "b/")));
        assert_resolves(&["/a"], "/a/b/.", Some((0, "b/.")));
        assert_resolves(&["/a"], "/a/b/..", Some((0, "b/..")));
        assert_resolves(&["/a"], "/a/../b", Some((0, "../b")));
    }
}
