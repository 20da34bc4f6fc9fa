//! Checks of file systems that are not mounted.

use std::path::Path;

use fast_copy_test_support::filesystems::{Small, unmount};
use fast_copy_test_support::program::administrative;

/// Checks the file system in a file, which is not changed. Returns what the checking program says if it finds a
/// fault.
pub fn check(kind: &str, image: &Path) -> Result<(), String> {
    let (program, options): (_, &[&str]) = match kind {
        "ext4" => ("e2fsck", &["-fn"]),
        "xfs" => ("xfs_repair", &["-n", "-f"]),
        "btrfs" => ("btrfs", &["check", "--readonly"]),
        _ => panic!("no program checks {kind}"),
    };
    let output = administrative(program).args(options).arg(image).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program}: {}: {} {}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Unmounts a small file system, and checks it.
pub fn unmount_and_check(small: &Small, kind: &str) -> Result<(), String> {
    unmount(&small.root)?;
    check(kind, &small.image)
}
