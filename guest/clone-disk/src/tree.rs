//! Finds what is below a directory, and creates the directories of its copy.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Component, Path};

use fast_copy::{CopyReport, FileUsage};

use crate::size::human_size;

/// What is below a directory, and where it is copied: paths relative to both directories, sorted. A directory
/// comes before what is in it.
pub struct Tree<'a> {
    dir: &'a str,
    new: &'a str,
    directories: Vec<String>,
    files: Vec<String>,
}

impl<'a> Tree<'a> {
    /// Finds the files below `dir`, to copy them to the same paths below `new`.
    ///
    /// Fails if it contains anything else than regular files and directories, or `new` itself.
    pub fn find(dir: &'a str, new: &'a str) -> Result<Self, String> {
        if is_inside(new, dir) {
            return Err(format!("{new}: is inside {dir}; nothing was copied"));
        }
        let mut tree = Self {
            dir,
            new,
            directories: Vec::new(),
            files: Vec::new(),
        };
        tree.add("")?;
        Ok(tree)
    }

    /// Returns the files, by their paths relative to the directory.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Returns the path of a file.
    pub fn source(&self, file: &str) -> String {
        join(self.dir, file)
    }

    /// Returns the path of the copy of a file.
    pub fn destination(&self, file: &str) -> String {
        join(self.new, file)
    }

    /// Creates the directories of the copy, unless they exist.
    pub fn create_directories(&self) -> Result<(), String> {
        create_dir(self.new, Links::Followed)?;
        for directory in &self.directories {
            create_dir(&join(self.new, directory), Links::Refused)?;
        }
        Ok(())
    }

    /// Adds what is in the directory `below`, a relative path.
    fn add(&mut self, below: &str) -> Result<(), String> {
        let path = self.source(below);
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
            let kind = kind.map_err(|error| format!("{}: {error}", self.source(&name)))?;
            if kind.is_dir() {
                self.directories.push(name.clone());
                self.add(&name)?;
            } else if kind.is_file() {
                self.files.push(name);
            } else {
                let path = self.source(&name);
                return Err(format!(
                    "{path}: is neither a regular file nor a directory; nothing was copied"
                ));
            }
        }
        Ok(())
    }
}

/// Returns how many bytes of data a file has, by an estimate.
pub fn data_of(usage: FileUsage) -> u64 {
    usage.size.min(usage.allocated)
}

/// Prints how many files were copied.
pub fn print_sum<'a>(reports: impl Iterator<Item = &'a CopyReport>) {
    let (mut files, mut size) = (0, 0);
    for report in reports {
        files += 1;
        size += report.size;
    }
    println!("{files} files, {}", human_size(size));
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
