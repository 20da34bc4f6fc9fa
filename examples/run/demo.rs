//! A demonstration: a guest clones a disk image.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use wasmtime_wasi::FsPerms;

use crate::args::{Guest, Preopen};
use crate::command::Form;
use crate::guest;

const IMAGE_SIZE: u64 = 4 << 30;
const MIB: u64 = 1 << 20;
/// A clone that is larger than the image.
const LARGE: &str = "large.img";
const CLONES: [&str; 5] = ["vm1.img", "vm2.img", "vm3.img", "vm4.img", "vm5.img"];

/// Makes an image, and runs the guest to clone it five times, to make a larger clone, to print the allocated
/// bytes, and to verify one clone. Prints the time of the verification.
pub fn run(form: Form) -> Result<i32> {
    let dir = tempfile::tempdir().context("making a temporary directory")?;
    let base = dir.path().join("base.img");
    let what = make_image(dir.path(), &base)?;
    println!(
        "Made base.img in {}: {what}, {} MiB apparent, {} MiB allocated.",
        dir.path().display(),
        IMAGE_SIZE / MIB,
        allocated(&base)? / MIB,
    );

    let args = ["clone", "base.img"].iter().chain(&CLONES);
    let status = in_guest(dir.path(), form, args)?;
    ensure!(status == 0, "the guest could not clone the image");
    let mut total = 0;
    for name in CLONES {
        total += allocated(&dir.path().join(name))?;
    }
    let args = ["clone", "--size", "40G", "base.img", LARGE];
    let status = in_guest(dir.path(), form, args.iter())?;
    ensure!(status == 0, "the guest could not make a larger clone");
    let args = ["usage", "base.img"].iter().chain(&CLONES).chain([&LARGE]);
    let status = in_guest(dir.path(), form, args)?;
    ensure!(status == 0, "the guest could not inspect the clones");

    let start = Instant::now();
    let status = in_guest(dir.path(), form, ["verify", "base.img", CLONES[4]].iter())?;
    ensure!(status == 0, "a clone differs from its base");
    println!(
        "\nFive clones of {} MiB: {} MiB allocated, shared blocks counted each time.\n\
         Comparing the data of the image and of one clone in the guest took {:.1} s.",
        IMAGE_SIZE / MIB,
        total / MIB,
        start.elapsed().as_secs_f64(),
    );
    Ok(0)
}

fn in_guest<'a>(dir: &Path, form: Form, args: impl Iterator<Item = &'a &'a str>) -> Result<i32> {
    let args: Vec<String> = args.map(|arg| arg.to_string()).collect();
    println!("\nIn the guest: clone-disk {}", args.join(" "));
    guest::run(Guest {
        component: None,
        args,
        dirs: vec![Preopen {
            host: dir.to_owned(),
            guest: ".".to_owned(),
            perms: FsPerms::ReadWrite,
        }],
        form,
    })
}

/// Makes an image of an ext4 file system with files in it, or a sparse file if there is no mkfs.ext4.
/// Returns which of them it is.
fn make_image(dir: &Path, image: &Path) -> Result<&'static str> {
    let root = dir.join("root");
    make_files(&root)?;
    // On Debian it is in a folder that only root has in PATH.
    for mkfs in ["mkfs.ext4", "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"] {
        let made = Command::new(mkfs)
            .args(["-q", "-F", "-d"])
            .arg(&root)
            .arg(image)
            .arg(format!("{}M", IMAGE_SIZE / MIB))
            .stdin(Stdio::null())
            .status();
        match made {
            Ok(status) if status.success() => {
                fs::remove_dir_all(&root)?;
                return Ok("an ext4 file system with files in it");
            }
            Ok(status) => bail!("{mkfs} failed: {status}"),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(mkfs),
        }
    }
    let image = File::create_new(image)?;
    image.set_len(IMAGE_SIZE)?;
    for (i, file) in fs::read_dir(&root)?.enumerate() {
        image.write_all_at(&fs::read(file?.path())?, i as u64 * 256 * MIB)?;
    }
    fs::remove_dir_all(&root)?;
    Ok("a sparse file (there is no mkfs.ext4 here)")
}

/// Makes 16 files of 4 MiB that don't compress.
fn make_files(root: &Path) -> Result<()> {
    fs::create_dir(root)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in 0..16 {
        let words = (0..4 * MIB / 8).flat_map(|_| {
            // xorshift64: any full-period generator will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        fs::write(root.join(format!("file{i}")), words.collect::<Vec<u8>>())?;
    }
    Ok(())
}

fn allocated(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.blocks() * 512)
}
