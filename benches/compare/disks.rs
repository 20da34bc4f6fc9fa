//! File systems on fully written files, which behave like disks.
//!
//! All blocks of the file are allocated, and the loop device uses direct I/O: the time of a copy doesn't
//! depend on whether the file has to grow, nor on how much memory a second page cache has.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use fast_copy_test_support::files::{GIB, MIB};
use fast_copy_test_support::filesystems::{
    FileSystem, detach, make_file_system, mount_image, mount_tmpfs, unmount,
};
use fast_copy_test_support::program::administrative;
use tempfile::TempDir;

/// Enough for copies of the image of 8 GiB without its holes.
const FIRST_SIZE: u64 = 14 * GIB;
/// The size of the second file system, for copies from one to another.
const SECOND_SIZE: u64 = 4 * GIB;

/// Two files, which hold one file system after another.
pub struct Disks {
    dir: TempDir,
}

/// A mounted file system, unmounted when this is dropped.
pub struct Disk {
    pub fs: FileSystem,
}

impl Disks {
    pub fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
        })
    }

    pub fn first(&self, name: &'static str) -> Result<Disk> {
        self.mount("first", FIRST_SIZE, name)
    }

    pub fn second(&self, name: &'static str) -> Result<Disk> {
        self.mount("second", SECOND_SIZE, name)
    }

    fn mount(&self, which: &str, size: u64, name: &'static str) -> Result<Disk> {
        let root = self.dir.path().join(format!("{which}-mounted"));
        fs::create_dir_all(&root)?;
        let mounted = match name {
            "tmpfs" => mount_tmpfs(&root, size),
            _ => {
                let image = self.image(which, size)?;
                make_file_system(name, &image).and_then(|()| mount_image(&image, &root))
            }
        };
        mounted.map_err(|reason| anyhow!("{name}: {reason}"))?;
        if name != "tmpfs" {
            use_direct_io(&root)?;
        }
        Ok(Disk {
            fs: FileSystem::new(name, root),
        })
    }

    fn image(&self, which: &str, size: u64) -> Result<PathBuf> {
        let path = self.dir.path().join(which);
        if !path.exists() {
            let file = File::create(&path)?;
            let bytes = vec![1; 8 * MIB as usize];
            for at in (0..size).step_by(bytes.len()) {
                file.write_all_at(&bytes, at)?;
            }
            file.sync_all()?;
        }
        Ok(path)
    }
}

fn use_direct_io(root: &Path) -> Result<()> {
    let device = Command::new("findmnt")
        .args(["--noheadings", "--output", "SOURCE"])
        .arg(root)
        .output()?;
    let device = String::from_utf8(device.stdout)?;
    // If direct I/O isn't supported, all contenders have two page caches.
    let result = administrative("losetup")
        .args(["--direct-io=on", device.trim()])
        .output()?;
    if !result.status.success() {
        println!("  {}", String::from_utf8_lossy(&result.stderr).trim());
    }
    Ok(())
}

impl Drop for Disk {
    fn drop(&mut self) {
        if unmount(&self.fs.root).is_err() {
            detach(&self.fs.root);
        }
    }
}
