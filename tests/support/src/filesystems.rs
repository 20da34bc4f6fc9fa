//! Real file systems for the tests and benchmarks, mounted in the program's own
//! [namespace](crate::namespace). Only root can mount those that need a disk. An ordinary user tests on a
//! directory instead, and on tmpfs.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;

use crate::features::{self, Feature};
use crate::function::Function;
use crate::program::{administrative, run, try_run};
use crate::user_namespace::mounting;

/// The environment variable that is set if the kernel lacks system calls: then the program tries what its file
/// systems can do. `tests/reliability/missing_calls.sh` sets it.
pub const PROBE: &str = "FAST_COPY_TEST_PROBE";

/// A mounted file system.
#[derive(Clone, Debug)]
pub struct FileSystem {
    pub name: &'static str,
    pub root: PathBuf,
    /// The kernel's name for this kind of file system, such as `ext4`.
    pub kind: String,
    features: Vec<Feature>,
}

impl FileSystem {
    /// Describes a mounted file system of [`NAMES`].
    pub fn new(name: &'static str, root: PathBuf) -> Self {
        Self {
            name,
            root,
            kind: name.to_owned(),
            features: features::known(name),
        }
    }

    /// Describes a mounted file system of any kind: tries what it can do.
    pub fn probe(name: &'static str, root: PathBuf) -> std::io::Result<Self> {
        Ok(Self {
            name,
            kind: kind_at(&root)?,
            features: features::probe(&root)?,
            root,
        })
    }

    /// Returns another file system that the same program has mounted, or this one.
    pub fn beside(&self, name: &'static str) -> Option<Self> {
        if name == self.name {
            return Some(self.clone());
        }
        let other = Self::new(name, self.root.with_file_name(name));
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        let is_mounted =
            device(&other.root).is_some() && device(&other.root) != device(other.root.parent()?);
        is_mounted.then_some(other)
    }

    /// Makes an empty directory, which is removed when the returned guard is dropped.
    pub fn dir(&self) -> TempDir {
        tempfile::tempdir_in(&self.root).expect("a directory for a test")
    }

    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    pub fn reflinks(&self) -> bool {
        self.has(Feature::Reflinks)
    }

    pub fn has_fiemap(&self) -> bool {
        self.has(Feature::BlockMap)
    }

    /// Whether a copy can be moved by `copy_file_range`. The engine calls it for known extents only.
    pub fn can_offload(&self) -> bool {
        self.has(Feature::BlockMap) && self.has(Feature::CopyFileRange)
    }

    /// Whether a durable copy gets a staging name before it is synchronised, because `fsync` skips files without a
    /// name (btrfs before Linux 6.18).
    pub fn names_before_sync(&self) -> bool {
        ["btrfs", "overlay"].contains(&self.kind.as_str()) && features::kernel() < (6, 18)
    }

    /// Whether a function makes a clone of a source with data. Without a block map extents can't be
    /// counted, and any number may be cloned.
    pub fn clones(&self, function: Function) -> bool {
        match function {
            Function::Fast => self.reflinks(),
            Function::FastWithoutClone => self.reflinks() && !self.has_fiemap(),
            Function::Sparse | Function::SparseTwoThreads => false,
        }
    }
}

/// Returns the kind of the file system that is mounted at a path or above it.
fn kind_at(path: &Path) -> std::io::Result<String> {
    let path = path.canonicalize()?;
    // The kernel writes spaces as \040 (proc_pid_mountinfo(5)).
    let path = PathBuf::from(path.to_string_lossy().replace(' ', "\\040"));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let above = mounts.lines().filter_map(|mount| {
        let root = mount.split(' ').nth(4)?;
        let (_, rest) = mount.split_once(" - ")?;
        let kind = rest.split(' ').next()?;
        path.starts_with(root).then_some((root.len(), kind))
    });
    // Of several at the same place, the last one hides the others.
    let nearest = above.max_by_key(|(length, _)| *length);
    Ok(nearest.map_or("unknown", |(_, kind)| kind).to_owned())
}

/// Whether two files can share blocks.
pub fn reflinks(name: &str) -> bool {
    features::known(name).contains(&Feature::Reflinks)
}

/// Whether the files are on a disk, and can survive a power cut.
pub fn has_disk(name: &str) -> bool {
    features::known(name).contains(&Feature::Disk)
}

pub const NAMES: [&str; 4] = ["ext4", "xfs", "btrfs", "tmpfs"];

/// The name of the file system with the directory for temporary files.
pub const DIRECTORY: &str = "directory";

/// A directory with the mount points of the file systems, and a directory to test on.
pub struct Mounts {
    dir: TempDir,
}

impl Mounts {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Makes and mounts a file system of `size` bytes on a sparse image. Returns the reason if that fails.
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
        match std::env::var_os(PROBE) {
            None => Ok(FileSystem::new(name, root)),
            Some(_) => {
                let probed = FileSystem::probe(name, root).map_err(|error| error.to_string());
                probed.map(|mut fs| {
                    fs.features.push(Feature::Small);
                    fs
                })
            }
        }
    }

    /// Mounts tmpfs as an ordinary user, in a user namespace. Returns the reason if that fails.
    pub fn mount_tmpfs_of_user(&self, size: u64) -> Result<FileSystem, String> {
        let FileSystem { name, root, .. } = self.mount("tmpfs", size)?;
        let mut fs = FileSystem::probe(name, root).map_err(|error| error.to_string())?;
        if !fs.has(Feature::Small) {
            fs.features.push(Feature::Small);
        }
        Ok(fs)
    }

    /// Makes a directory in the one for temporary files, if `size` bytes are free there.
    pub fn directory(&self, size: u64) -> Result<FileSystem, String> {
        let root = self.dir.path().join(DIRECTORY);
        fs::create_dir(&root).map_err(|error| error.to_string())?;
        let stat = rustix::fs::statvfs(&root).map_err(|error| error.to_string())?;
        let free = stat.f_bavail * stat.f_frsize;
        if free < size {
            let [free, size] = [free, size].map(|bytes| bytes as f64 / (1 << 30) as f64);
            return Err(format!("{size:.0} GiB in TMPDIR ({free:.1} GiB are free)"));
        }
        FileSystem::probe(DIRECTORY, root).map_err(|error| error.to_string())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for name in NAMES {
            detach(&self.dir.path().join(name));
        }
    }
}

/// Returns the smallest size that mkfs accepts, but at least 64 MiB.
pub fn smallest(name: &str) -> u64 {
    match name {
        "xfs" => 300 << 20,
        "btrfs" => 109 << 20,
        _ => 64 << 20,
    }
}

/// Makes a file system in a file, without discarding the blocks of the file.
pub fn make_file_system(name: &str, image: &Path) -> Result<(), String> {
    let options: &[&str] = match name {
        "ext4" => &["-q", "-F", "-m", "0", "-E", "nodiscard"],
        _ => &["-q", "-f", "-K"],
    };
    try_run(
        administrative(format!("mkfs.{name}"))
            .args(options)
            .arg(image),
    )
}

pub fn mount_image(image: &Path, root: &Path) -> Result<(), String> {
    let mut mount = Command::new("mount");
    try_run(mount.args(["-o", "loop"]).arg(image).arg(root))
}

pub fn mount_tmpfs(root: &Path, size: u64) -> Result<(), String> {
    mount("tmpfs", root, &format!("size={size}"))
}

/// Mounts a file system that needs no disk.
fn mount(kind: &str, root: &Path, options: &str) -> Result<(), String> {
    let options = CString::new(options).expect("options without null bytes");
    let options: Option<&CStr> = Some(&options);
    mounting(|| rustix::mount::mount(kind, root, kind, MountFlags::empty(), options))
        .map_err(|error| format!("mount {kind} at {}: {error}", root.display()))
}

/// Unmounts a file system. It is tried again for 20 seconds while the file system is busy: a child that
/// another test starts has this process's descriptors until its `exec`.
pub fn unmount(root: &Path) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match mounting(|| rustix::mount::unmount(root, UnmountFlags::empty())) {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(format!("unmount {}: {error}", root.display())),
        }
    }
}

/// A mount for one test, detached when this is dropped.
pub struct Mounted<'a> {
    root: &'a Path,
}

impl<'a> Mounted<'a> {
    pub fn tmpfs(root: &'a Path, size: u64) -> Self {
        mount_tmpfs(root, size).unwrap();
        Self { root }
    }

    pub fn hugetlbfs(root: &'a Path) -> Self {
        mount("hugetlbfs", root, "").unwrap();
        Self { root }
    }

    /// Mounts a directory at `root`.
    pub fn bind(dir: &Path, root: &'a Path) -> Self {
        mounting(|| rustix::mount::mount_bind(dir, root)).unwrap();
        Self { root }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        detach(self.root);
    }
}

/// Detaches a mount, if there is one. The file system is unmounted when its last user is gone
/// (`MNT_DETACH`).
pub fn detach(root: &Path) {
    let _ = mounting(|| rustix::mount::unmount(root, UnmountFlags::DETACH));
}

/// A small file system for one test, unmounted when this is dropped. Only one exists at a time, since
/// a machine may have as few as eight loop devices.
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

    /// Simulates a power cut: mounts a copy of what is on the disk at this moment.
    pub fn cut_power(&self) {
        let snapshot = self.dir.path().join("snapshot");
        run(Command::new("cp")
            .args(["--sparse=always", "--reflink=never"])
            .arg(&self.image)
            .arg(&snapshot));
        unmount(&self.root).unwrap();
        mount_image(&snapshot, &self.root).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        detach(&self.root);
    }
}
