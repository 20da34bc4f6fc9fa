//! Real file systems for the tests and benchmarks, mounted in the program's own
//! [namespace](crate::namespace).

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{administrators, run, try_run};

/// A mounted file system.
#[derive(Clone, Debug)]
pub struct FileSystem {
    pub name: &'static str,
    pub root: PathBuf,
}

impl FileSystem {
    /// A new empty directory, gone with the returned guard.
    pub fn dir(&self) -> TempDir {
        tempfile::tempdir_in(&self.root).expect("a directory for a test")
    }

    pub fn reflinks(&self) -> bool {
        reflinks(self.name)
    }

    pub fn has_fiemap(&self) -> bool {
        has_fiemap(self.name)
    }
}

/// Whether two files can share blocks there.
pub fn reflinks(name: &str) -> bool {
    matches!(name, "xfs" | "btrfs")
}

/// Whether the kernel can be asked which blocks were written.
pub fn has_fiemap(name: &str) -> bool {
    name != "tmpfs"
}

/// Whether there is a disk, so that something can survive a power cut.
pub fn has_disk(name: &str) -> bool {
    name != "tmpfs"
}

pub fn is_ext4(name: &str) -> bool {
    name == "ext4"
}

pub const NAMES: [&str; 4] = ["ext4", "xfs", "btrfs", "tmpfs"];

/// The directory that everything is mounted in.
pub struct Mounts {
    dir: TempDir,
}

impl Mounts {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Makes and mounts a file system of `size` bytes, which takes no room until it is used; or says
    /// why that can't be.
    pub fn mount(&self, name: &'static str, size: u64) -> Result<FileSystem, String> {
        let root = self.dir.path().join(name);
        fs::create_dir(&root).unwrap();
        if name == "tmpfs" {
            mount_tmpfs(&root, size)?;
        } else {
            let image = self.dir.path().join(format!("{name}.img"));
            File::create(&image).unwrap().set_len(size).unwrap();
            make_file_system(name, &image)?;
            mount_image(&image, &root)?;
            fs::remove_file(&image).unwrap();
        }
        // Tests run programs as another user.
        fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).unwrap();
        fs::set_permissions(self.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Ok(FileSystem { name, root })
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for name in NAMES {
            let_go(&self.dir.path().join(name));
        }
    }
}

/// The smallest image that each mkfs makes, and at least 64 MiB, in bytes.
pub fn smallest(name: &str) -> u64 {
    match name {
        "xfs" => 300 << 20,
        "btrfs" => 109 << 20,
        _ => 64 << 20,
    }
}

/// Makes a file system in a file, and leaves the file's blocks allocated as they are.
pub fn make_file_system(name: &str, image: &Path) -> Result<(), String> {
    let options: &[&str] = match name {
        "ext4" => &["-q", "-F", "-m", "0", "-E", "nodiscard"],
        _ => &["-q", "-f", "-K"],
    };
    try_run(
        administrators(format!("mkfs.{name}"))
            .args(options)
            .arg(image),
    )
}

pub fn mount_image(image: &Path, root: &Path) -> Result<(), String> {
    let mut mount = Command::new("mount");
    try_run(mount.args(["-o", "loop"]).arg(image).arg(root))
}

pub fn mount_tmpfs(root: &Path, size: u64) -> Result<(), String> {
    let mut mount = Command::new("mount");
    let size = format!("size={size}");
    try_run(mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(root))
}

/// Unmounts a file system. A program that another test is just starting can keep it busy for an
/// instant, since that has our descriptors until it is loaded.
pub fn unmount(root: &Path) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match try_run(Command::new("umount").arg(root)) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            result => return result,
        }
    }
}

/// Something mounted for one test, unmounted when this is dropped.
pub struct Mounted<'a> {
    root: &'a Path,
}

impl<'a> Mounted<'a> {
    pub fn tmpfs(root: &'a Path, size: u64) -> Self {
        mount_tmpfs(root, size).unwrap();
        Self { root }
    }

    /// Shows a directory at `root` too.
    pub fn bind(dir: &Path, root: &'a Path) -> Self {
        run(Command::new("mount").arg("--bind").arg(dir).arg(root));
        Self { root }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let_go(self.root);
    }
}

/// Unmounts what may be there, at the end of its use: it is out of sight at once, and gone as soon
/// as nobody uses it.
pub fn let_go(root: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(root).output();
}

/// A small file system for one test, mounted while this lives. One test at a time has such, so
/// that the machine's loop devices are enough.
pub struct Small {
    pub image: PathBuf,
    pub root: PathBuf,
    dir: TempDir,
    _turn: std::sync::MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Small {
    pub fn new(name: &str, size: u64) -> Self {
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let dir = tempfile::tempdir().unwrap();
        let small = Self {
            image: dir.path().join("image"),
            root: dir.path().join("mounted"),
            dir,
            _turn: turn,
        };
        fs::create_dir(&small.root).unwrap();
        let mounted = match name {
            "tmpfs" => mount_tmpfs(&small.root, size),
            _ => {
                File::create(&small.image).unwrap().set_len(size).unwrap();
                make_file_system(name, &small.image)
                    .and_then(|()| mount_image(&small.image, &small.root))
            }
        };
        mounted.unwrap();
        small
    }

    /// Pulls the plug: keeps what has reached the disk at this moment, and mounts that instead.
    pub fn cut_power(&self) {
        let picture = self.dir.path().join("picture");
        run(Command::new("cp")
            .args(["--sparse=always", "--reflink=never"])
            .arg(&self.image)
            .arg(&picture));
        unmount(&self.root).unwrap();
        mount_image(&picture, &self.root).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let_go(&self.root);
    }
}
