//! Copies that lack what makes them safe. The harness must find states in which their copy is not right.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

use super::cases::COPIED_MODE;

/// A sequence of calls that looks like a durable copy.
pub struct Sequence {
    pub name: &'static str,
    pub run: fn(&Path, &[u8]),
}

pub const SEQUENCES: [Sequence; 3] = [
    Sequence {
        name: "no fsync of the file",
        run: no_fsync_of_the_file,
    },
    Sequence {
        name: "rename before fsync",
        run: rename_before_fsync,
    },
    Sequence {
        name: "no fsync of the directory",
        run: no_fsync_of_the_directory,
    },
];

fn no_fsync_of_the_file(dir: &Path, content: &[u8]) {
    let file = unnamed(dir, content);
    link(&file, dir);
    sync(dir);
}

/// Another process synchronises the directory between the rename and the fsync.
fn rename_before_fsync(dir: &Path, content: &[u8]) {
    let staged = dir.join(".fast-copy-00000000000000000000000000000000");
    let mut file = File::create(&staged).unwrap();
    fill(&mut file, content);
    fs::rename(&staged, dir.join("dst")).unwrap();
    sync(dir);
    file.sync_all().unwrap();
    sync(dir);
}

fn no_fsync_of_the_directory(dir: &Path, content: &[u8]) {
    let file = unnamed(dir, content);
    file.sync_all().unwrap();
    link(&file, dir);
}

/// Makes a file without a name.
fn unnamed(dir: &Path, content: &[u8]) -> File {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR).unwrap());
    fill(&mut file, content);
    file
}

fn fill(file: &mut File, content: &[u8]) {
    file.write_all(content).unwrap();
    file.set_permissions(PermissionsExt::from_mode(COPIED_MODE))
        .unwrap();
}

fn link(file: &File, dir: &Path) {
    linkat(file, "", CWD, dir.join("dst"), AtFlags::EMPTY_PATH).unwrap();
}

fn sync(dir: &Path) {
    File::open(dir).unwrap().sync_all().unwrap();
}
