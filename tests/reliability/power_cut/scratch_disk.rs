//! A disk whose contents can be replaced, to mount one state after another.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fast_copy_test_support::filesystems::{
    detach, make_file_system, mount_image, mount_tmpfs, unmount,
};
use fast_copy_test_support::program::{administrative, try_run};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::mount::{MountFlags, mount};
use tempfile::TempDir;

use super::contents::Contents;

/// The memory for the images, of which a part is used.
const MEMORY: u64 = 4 << 30;

/// A disk in memory, and a place where its file system is mounted. It has one loop device, which is attached until
/// this is dropped.
pub struct ScratchDisk {
    kind: &'static str,
    size: u64,
    root: PathBuf,
    device: PathBuf,
    /// While it is open, the loop device stays. It was attached by `mount -o loop`, so the kernel detaches it
    /// when the last descriptor is closed.
    _open: File,
    memory: Memory,
}

impl ScratchDisk {
    /// Makes a file system of a kind, lets `prepare` put files into it, and unmounts it. Also returns what is on the
    /// disk then.
    pub fn new(kind: &'static str, size: u64, prepare: impl FnOnce(&Path)) -> (Self, Contents) {
        let memory = Memory::new();
        let (image, root) = (memory.dir().join("scratch"), memory.dir().join("mounted"));
        File::create(&image).unwrap().set_len(size).unwrap();
        fs::create_dir(&root).unwrap();
        make_file_system(kind, &image).unwrap();
        mount_image(&image, &root).unwrap();
        let mounted = MountedState { root: &root };
        let device = device_of(&root);
        let open = File::open(&device).unwrap();
        prepare(&root);
        drop(mounted);
        let contents = Contents::read(&File::open(&image).unwrap());
        let disk = Self {
            kind,
            size,
            root,
            device,
            _open: open,
            memory,
        };
        (disk, contents)
    }

    /// Returns a directory in memory.
    pub fn memory(&self) -> &Path {
        self.memory.dir()
    }

    /// Returns the kind of its file system.
    pub fn kind(&self) -> &str {
        self.kind
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts contents on the disk, and mounts its file system, which recovers as after a power cut.
    pub fn mount(&self, contents: &Contents) -> Result<MountedState<'_>, String> {
        // Without O_EXCL, so that the device can be mounted while this is open.
        let disk = File::options()
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(&self.device)
            .unwrap();
        let all = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&disk, all, 0, self.size).unwrap();
        contents.write_to(&disk);
        disk.sync_all().unwrap();
        drop(disk);
        mount(
            &self.device,
            &self.root,
            self.kind,
            MountFlags::NOATIME,
            None::<&std::ffi::CStr>,
        )
        .map_err(|error| format!("it can't be mounted: {error}"))?;
        Ok(MountedState { root: &self.root })
    }

    /// Makes btrfs forget other devices with this file system: before Linux 6.7, it mounts none whose contents are
    /// older than those of another device that it knows.
    pub fn be_the_only_one(&self) {
        if self.kind == "btrfs" {
            try_run(administrative("btrfs").args(["device", "scan", "--forget"])).unwrap();
        }
    }
}

/// A mounted state of the disk, unmounted when this is dropped.
pub struct MountedState<'a> {
    pub root: &'a Path,
}

impl Drop for MountedState<'_> {
    fn drop(&mut self) {
        match unmount(self.root) {
            Ok(()) => {}
            Err(reason) if std::thread::panicking() => {
                eprintln!("{reason}");
                detach(self.root);
            }
            Err(reason) => panic!("{reason}"),
        }
    }
}

/// A directory on tmpfs. A flush of a file there costs nothing.
struct Memory {
    dir: TempDir,
}

impl Memory {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        mount_tmpfs(dir.path(), MEMORY).unwrap();
        Self { dir }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        detach(self.dir.path());
    }
}

/// Returns the device that is mounted at a path.
fn device_of(root: &Path) -> PathBuf {
    let output = Command::new("findmnt")
        .args(["--noheadings", "--output", "SOURCE", "--mountpoint"])
        .arg(root)
        .output()
        .unwrap();
    let device = String::from_utf8(output.stdout).unwrap();
    PathBuf::from(device.trim())
}
