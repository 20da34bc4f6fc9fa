//! Makes a disk image.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use wasmtime::error::Context;
use wasmtime::{Result, bail};

/// The size of the image.
pub const SIZE: u64 = 4 << 30;
const MIB: u64 = 1 << 20;

/// Makes an ext4 file system with files in it, or a sparse file if there is no mkfs.ext4. Returns which of
/// them it is.
pub fn make(image: &Path) -> Result<&'static str> {
    let root = tempfile::tempdir()?;
    make_files(root.path())?;
    // On Debian it is in a folder that only root has in PATH.
    for mkfs in ["mkfs.ext4", "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"] {
        let made = Command::new(mkfs)
            .args(["-q", "-F", "-d"])
            .arg(root.path())
            .arg(image)
            .arg(format!("{}M", SIZE / MIB))
            .stdin(Stdio::null())
            .output();
        match made {
            Ok(output) if output.status.success() => {
                return Ok("an ext4 file system with files in it");
            }
            Ok(output) => bail!(
                "{mkfs}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(mkfs),
        }
    }
    let image = File::create_new(image)?;
    image.set_len(SIZE)?;
    for (i, file) in fs::read_dir(root.path())?.enumerate() {
        image.write_all_at(&fs::read(file?.path())?, i as u64 * 256 * MIB)?;
    }
    Ok("a sparse file, because there is no mkfs.ext4")
}

/// Makes 16 files of 4 MiB that don't compress.
fn make_files(root: &Path) -> Result<()> {
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
