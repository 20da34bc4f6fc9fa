//! A disk that records each write and each flush.
//!
//! `qemu-storage-daemon` exports an image through FUSE, and logs what it is asked to do (`blklogwrites`). A loop
//! device makes the export a disk with a volatile write cache: the block layer sends it the flushes that a file
//! system asks for, and makes a flush of each write with forced unit access. The daemon does one thing at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fast_copy_test_support::filesystems::{detach, mount_image, unmount};
use fast_copy_test_support::process_group::ProcessGroup;

use super::contents::Contents;
use super::log::{Log, SECTOR};

/// The size of the file with the log, which is sparse.
const LOG_SIZE: u64 = 4 << 30;

/// A mounted file system on a disk that records.
pub struct RecordedDisk {
    /// Where the file system is mounted.
    pub root: PathBuf,
    pub log: Log,
    export: PathBuf,
    /// The daemon. It ends after the file system is unmounted.
    _daemon: ProcessGroup,
}

impl RecordedDisk {
    /// Starts a disk of `size` bytes with the given contents, and mounts its file system. The files of the disk are
    /// in `dir`.
    pub fn start(dir: &Path, contents: &Contents, size: u64) -> Self {
        let path = |name| dir.join(name);
        let image = File::create(path("recorded")).unwrap();
        image.set_len(size).unwrap();
        contents.write_to(&image);
        File::create(path("log"))
            .unwrap()
            .set_len(LOG_SIZE)
            .unwrap();
        let (export, ready) = (path("export"), path("ready"));
        File::create(&export).unwrap();
        let _ = fs::remove_file(&ready);
        let file = |node, name| {
            format!(
                "driver=file,node-name={node},filename={}",
                quoted(&path(name))
            )
        };
        let mut command = Command::new("qemu-storage-daemon");
        command
            .args(["--blockdev", &file("disk", "recorded")])
            .args(["--blockdev", &file("log", "log")])
            .arg("--blockdev")
            .arg(format!(
                "driver=blklogwrites,node-name=both,file=disk,log=log,log-sector-size={SECTOR}"
            ))
            .arg("--export")
            .arg(format!(
                "type=fuse,id=export,node-name=both,mountpoint={},writable=on",
                quoted(&export)
            ))
            // It is written when the export is mounted.
            .arg("--pidfile")
            .arg(&ready)
            .stdin(Stdio::null());
        let daemon = ProcessGroup::spawn(&mut command)
            .unwrap_or_else(|error| panic!("qemu-storage-daemon (qemu-system-common): {error}"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready.exists() {
            let ended = daemon.ends_within(Duration::from_millis(1));
            assert!(!ended, "qemu-storage-daemon has ended");
            assert!(Instant::now() < deadline, "the disk does not start");
        }
        let root = path("recorded.mounted");
        fs::create_dir_all(&root).unwrap();
        let disk = Self {
            root,
            log: Log::open(&path("log")).unwrap(),
            export,
            _daemon: daemon,
        };
        mount_image(&disk.export, &disk.root).unwrap();
        disk
    }

    /// Returns how many writes and flushes the disk has completed.
    pub fn completed(&mut self) -> usize {
        self.log.read().unwrap()
    }

    /// Writes all that the file system has in memory to the disk. Returns how many writes and flushes the disk has
    /// completed then.
    pub fn sync(&mut self) -> usize {
        rustix::fs::syncfs(File::open(&self.root).unwrap()).unwrap();
        self.completed()
    }
}

impl Drop for RecordedDisk {
    fn drop(&mut self) {
        if unmount(&self.root).is_err() {
            detach(&self.root);
        }
        detach(&self.export);
    }
}

/// Returns a path as QEMU's options take it.
fn quoted(path: &Path) -> String {
    path.to_str().unwrap().replace(',', ",,")
}
