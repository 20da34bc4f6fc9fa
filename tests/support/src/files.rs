//! Files to copy, and assertions about their copies.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, AtFlags, CWD, SeekFrom, StatxFlags, fadvise};
use rustix::io::Errno;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// Makes a file of `size` bytes with data at the given ranges and holes between them. No byte of
/// the data is zero, and no two blocks are the same.
pub fn sparse_file(path: &Path, size: u64, data: &[Range<u64>]) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    for range in data {
        write_data(&file, range.clone());
    }
}

/// Makes a file without holes.
pub fn dense_file(path: &Path, size: u64) {
    sparse_file(path, size, std::slice::from_ref(&(0..size)));
}

pub fn write_data(file: &File, range: Range<u64>) {
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(MIB);
        let bytes: Vec<u8> = (at..at + length)
            .map(|i| ((i ^ (i >> 9) ^ (i >> 21)) % 255) as u8 + 1)
            .collect();
        file.write_all_at(&bytes, at).unwrap();
        at += length;
    }
}

/// Makes a file of 16 MiB with four extents of 64 KiB.
pub fn four_extents(path: &Path) {
    let extents: Vec<_> = (0..4)
        .map(|i| i * 4 * MIB..i * 4 * MIB + 64 * KIB)
        .collect();
    sparse_file(path, 16 * MIB, &extents);
}

/// Returns the allocated bytes of a file. Network file systems answer `stat` from a cache, so they are
/// asked for an answer of the server.
pub fn allocated(path: &Path) -> u64 {
    let flags = AtFlags::STATX_FORCE_SYNC;
    match rustix::fs::statx(CWD, path, flags, StatxFlags::BLOCKS) {
        Err(Errno::NOSYS | Errno::PERM) => fs::metadata(path).unwrap().blocks() * 512,
        status => status.unwrap().stx_blocks * 512,
    }
}

pub fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Returns the names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the ranges that `SEEK_DATA` and `SEEK_HOLE` report as data: the whole file if they fail.
pub fn data_ranges(file: &File) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return ranges,
            Err(_) => {
                let whole = 0..file.metadata().unwrap().len();
                return vec![whole];
            }
        };
        at = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap();
        ranges.push(start..at);
    }
}

/// Compares the data of two files. What is a hole in both isn't read.
pub fn same_content(a: &Path, b: &Path) -> Result<(), String> {
    let (a, b) = (File::open(a).unwrap(), File::open(b).unwrap());
    let sizes = (a.metadata().unwrap().len(), b.metadata().unwrap().len());
    if sizes.0 != sizes.1 {
        return Err(format!("sizes differ: {sizes:?}"));
    }
    let (mut bytes_a, mut bytes_b) = (vec![0; MIB as usize], vec![0; MIB as usize]);
    // Short ranges are read ahead: without that, 50,000 of them take a minute on a disk.
    for ranges in union(data_ranges(&a), data_ranges(&b)).chunks(512) {
        for range in ranges {
            let length = NonZero::new((range.end - range.start).min(MIB));
            for file in [&a, &b] {
                // A hint: a range that can't be read fails below.
                let _ = fadvise(file, range.start, length, Advice::WillNeed);
            }
        }
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let length = (range.end - at).min(MIB) as usize;
                a.read_exact_at(&mut bytes_a[..length], at).unwrap();
                b.read_exact_at(&mut bytes_b[..length], at).unwrap();
                if bytes_a[..length] != bytes_b[..length] {
                    return Err(format!(
                        "contents differ within {at}..{}",
                        at + length as u64
                    ));
                }
                at += length as u64;
            }
        }
    }
    Ok(())
}

/// Returns the union of two lists of ranges, sorted.
fn union(a: Vec<Range<u64>>, b: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut ranges = [a, b].concat();
    ranges.sort_by_key(|range| range.start);
    let mut union: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match union.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => union.push(range),
        }
    }
    union
}

#[track_caller]
pub fn assert_same(a: &Path, b: &Path) {
    if let Err(difference) = same_content(a, b) {
        panic!("{} and {}: {difference}", a.display(), b.display());
    }
}

/// Asserts that a copy has at most `data` bytes allocated, and 64 KiB for the file system's metadata.
///
/// On f2fs, twice that: it counts the node blocks of a file, one for each 4 MiB that has data (`f2fs_i_blocks_write`
/// in fs/f2fs/f2fs.h).
#[track_caller]
pub fn assert_allocated_at_most(path: &Path, data: u64) {
    let allocated = allocated(path);
    /// `F2FS_SUPER_MAGIC` (include/uapi/linux/magic.h).
    const F2FS: i64 = 0xF2F5_2010;
    let is_f2fs = rustix::fs::statfs(path).unwrap().f_type == F2FS;
    let metadata = if is_f2fs { 128 * KIB } else { 64 * KIB };
    assert!(
        allocated <= data + metadata,
        "{allocated} bytes are allocated for {data} bytes of data"
    );
}

/// Returns the attribute `system.posix_acl_access` (acl(5)) for `user::rw-, user:ID:rw-, group::---,
/// mask::rw-, other::---`. The ID is that of this user: a user namespace need not have others.
pub fn access_control_list() -> Vec<u8> {
    let entries = [
        (1, 6, !0),
        (2, 6, rustix::process::geteuid().as_raw()),
        (4, 0, !0),
        (0x10, 6, !0),
        (0x20, 0, !0_u32),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(id.to_le_bytes());
    }
    list
}

/// Writes a file with `text`, and returns its path.
pub fn text_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
pub fn assert_text(path: &Path, text: &str) {
    match fs::read_to_string(path) {
        Ok(found) => assert_eq!(found, text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{} does not exist", path.display())
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
