//! Makes the image that a machine must have, without a guest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use wasmtime::{Result, bail};
use wasmtime_fast_copy::CopyOptions;

use crate::vm::{self, Vm};
use crate::{BLOCK, base};

/// Makes the image of a machine from the original base. The placeholder is at the given offset.
pub fn make(original: &Path, placeholder: u64, vm: &Vm, image: &Path) -> Result<()> {
    CopyOptions::new()
        .size(vm::SIZE)
        .sparse_copy(original, image)?;
    let image = File::options().write(true).open(image)?;
    image.write_all_at(&named(vm), placeholder)?;
    for offset in vm.offsets {
        let text = format!("{}: block at {offset}\n", vm.name);
        image.write_all_at(&base::block(&text), offset)?;
    }
    Ok(())
}

/// Returns the block that a machine must have in place of the placeholder.
pub fn named(vm: &Vm) -> Vec<u8> {
    base::block(&format!("hostname={}\n", vm.name))
}

/// Returns the offset of the one block that begins with the placeholder. Reads the whole image.
pub fn find_placeholder(image: &Path) -> Result<u64> {
    let image = File::open(image)?;
    let mut start = [0; base::PLACEHOLDER.len()];
    let mut found = Vec::new();
    for offset in (0..base::SIZE).step_by(BLOCK as usize) {
        image.read_exact_at(&mut start, offset)?;
        if start == *base::PLACEHOLDER.as_bytes() {
            found.push(offset);
        }
    }
    match found[..] {
        [offset] => Ok(offset),
        _ => bail!("the base has {} placeholders, not one", found.len()),
    }
}
