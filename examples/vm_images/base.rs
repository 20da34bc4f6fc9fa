//! Makes the base image.

use std::fs;
use std::path::Path;

use wasmtime::{Result, bail, ensure};

use crate::{BLOCK, MIB, program};

/// The directory that all guests can read, and the image in it. Both are relative to the temporary directory.
pub const DIR: &str = "images";
pub const IMAGE: &str = "images/base.img";

pub const SIZE: u64 = 256 * MIB;

/// The file with the placeholder, in the image.
pub const SEED: &str = "/etc/first-boot";

/// The text that `first-boot` searches for.
pub const PLACEHOLDER: &str = "# first-boot writes the name here\n";

/// Makes an image with a small root file system. Fails if `mkfs.ext4` is not installed.
pub fn make(dir: &Path) -> Result<()> {
    let root = dir.join("root");
    make_root(&root)?;
    fs::create_dir(dir.join(DIR))?;
    let mut mkfs = program::command("mkfs.ext4");
    mkfs.args(["-q", "-F", "-b"]).arg(BLOCK.to_string());
    mkfs.arg("-d").arg(&root).arg(dir.join(IMAGE));
    mkfs.arg(format!("{}M", SIZE / MIB));
    let Some(made) = program::run(&mut mkfs)? else {
        bail!("mkfs.ext4 is not installed; on Debian it is in the package e2fsprogs");
    };
    let (status, text) = (made.status, program::text(&made));
    ensure!(status.success(), "mkfs.ext4: {status}\n{text}");
    Ok(())
}

/// Makes a small root file system: some configuration, and eight files of 2 MiB that don't compress.
fn make_root(root: &Path) -> Result<()> {
    let [etc, lib] = ["etc", "usr/lib"].map(|folder| root.join(folder));
    fs::create_dir_all(&etc)?;
    fs::create_dir_all(&lib)?;
    fs::write(etc.join("hostname"), "base\n")?;
    fs::write(root.join(&SEED[1..]), block(PLACEHOLDER))?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in 0..8 {
        let words = (0..2 * MIB / 8).flat_map(|_| {
            // xorshift64: any full-period generator will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        fs::write(lib.join(format!("lib{i}.so")), words.collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Returns a block that begins with a text. Line feeds fill it.
pub fn block(text: &str) -> Vec<u8> {
    let mut block = text.as_bytes().to_vec();
    block.resize(BLOCK as usize, b'\n');
    block
}
