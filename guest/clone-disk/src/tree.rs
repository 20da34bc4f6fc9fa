//! Runs `clone-disk tree`: copies each file below a directory, with one progress bar for all.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Component, Path};
use std::time::Instant;

use fast_copy::disk_usage;

use crate::args::How;
use crate::failure::failure;
use crate::progress::{Progress, TICK};
use crate::size::human_size;
use crate::table::Table;

/// Copies each file below `dir` to the same path below `new`, in the order of their paths, and creates the
/// directories. Stops at the first error, and keeps the copies made before.
///
/// Refuses a directory that contains anything else than regular files and directories, or NEW itself, before it
/// copies.
pub fn run(how: &How, dir: &str, new: &str) -> Result<(), String> {
    if is_inside(new, dir) {
        return Err(format!("{new}: is inside {dir}; nothing was copied"));
    }
    let mut tree = Tree::default();
    tree.add(dir, "")?;
    let sizes = tree.sizes(dir)?;
    let total = sizes.iter().sum();
    create_dir(new, Links::Followed)?;
    for directory in &tree.directories {
        create_dir(&join(new, directory), Links::Refused)?;
    }
    let (mut done, mut size_of_all) = (0, 0);
    let mut progress = Progress::start(new);
    let table = Table::start("FILE", &tree.files);
    for (i, (file, size)) in tree.files.iter().zip(&sizes).enumerate() {
        let start = Instant::now();
        let copied = how
            .start(&join(dir, file), &join(new, file))
            .and_then(|job| {
                job.wait_with(TICK, |copy| {
                    progress.show(done + copy.copied.min(*size), total)
                })
            });
        progress.hide();
        let report = copied.map_err(|error| failure(error, &tree.files[i + 1..]))?;
        table.row(file, &report, start.elapsed());
        done += size;
        size_of_all += report.size;
    }
    println!("{} files, {}", tree.files.len(), human_size(size_of_all));
    Ok(())
}

/// What is below a directory: paths relative to it, sorted. A directory comes before what is in it.
#[derive(Default)]
struct Tree {
    directories: Vec<String>,
    files: Vec<String>,
}

impl Tree {
    /// Adds what is in the directory `below`, a path relative to `dir`.
    fn add(&mut self, dir: &str, below: &str) -> Result<(), String> {
        let path = join(dir, below);
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.map_err(|error| format!("{path}: {error}"))?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| format!("{path}: the name {name:?} is not UTF-8"))?;
            let name = join(below, name);
            let kind = entry.file_type();
            let kind = kind.map_err(|error| format!("{}: {error}", join(dir, &name)))?;
            if kind.is_dir() {
                self.directories.push(name.clone());
                self.add(dir, &name)?;
            } else if kind.is_file() {
                self.files.push(name);
            } else {
                let path = join(dir, &name);
                return Err(format!(
                    "{path}: is neither a regular file nor a directory; nothing was copied"
                ));
            }
        }
        Ok(())
    }

    /// Returns how many bytes each file has allocated, as an estimate of its data.
    fn sizes(&self, dir: &str) -> Result<Vec<u64>, String> {
        let size = |file: &String| {
            let usage = disk_usage(join(dir, file)).map_err(|error| error.to_string())?;
            Ok(usage.size.min(usage.allocated))
        };
        self.files.iter().map(size).collect()
    }
}

/// Whether a symbolic link may stand for a directory that exists.
#[derive(Clone, Copy, PartialEq)]
enum Links {
    Followed,
    Refused,
}

/// Creates a directory, unless it exists.
fn create_dir(path: &str, links: Links) -> Result<(), String> {
    let is_directory = || {
        let found = match links {
            Links::Followed => fs::metadata(path),
            Links::Refused => fs::symlink_metadata(path),
        };
        found.is_ok_and(|found| found.is_dir())
    };
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_directory() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(format!("{path}: exists and is not a directory"))
        }
        created => created.map_err(|error| format!("{path}: {error}")),
    }
}

/// Returns whether a path is that of a directory or of something in it, by their spelling.
fn is_inside(path: &str, dir: &str) -> bool {
    let parts = |path| {
        let parts = Path::new(path).components();
        parts.filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
    };
    let mut of_path = parts(path);
    parts(dir).all(|part| of_path.next() == Some(part))
}

fn join(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{}/{name}", dir.trim_end_matches('/')),
    }
}
