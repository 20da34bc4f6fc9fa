//! A virtual machine.

use std::fs;
use std::path::{Path, PathBuf};

use wasmtime::Result;
use wasmtime_fast_copy::{CopyQuota, FastCopyCtx};

use crate::{MIB, base};

/// The size of a machine's disk.
pub const SIZE: u64 = 1024 * MIB;

pub struct Vm {
    pub name: String,
    /// The directory that only its guest can use.
    pub dir: PathBuf,
    /// Its disk, relative to the temporary directory.
    pub image: String,
    /// Where its guest writes blocks of its own.
    pub offsets: [u64; 3],
    pub copies: FastCopyCtx,
}

impl Vm {
    /// Creates a machine that has no disk yet, and its directory. `quota` limits its copies, in bytes.
    pub fn new(temporary: &Path, number: u64, quota: u64) -> Result<Self> {
        let name = format!("vm{}", number + 1);
        let dir = temporary.join(&name);
        fs::create_dir(&dir)?;
        Ok(Self {
            dir,
            image: format!("{name}/{name}.img"),
            name,
            offsets: [0, 1, 2].map(|block| base::SIZE + (3 * number + block) * 16 * MIB),
            copies: FastCopyCtx::builder().quota(CopyQuota::new(quota)).build(),
        })
    }

    /// Returns the arguments with which its guest clones the base.
    pub fn clone_args(&self) -> Vec<String> {
        let args = ["clone", base::IMAGE, &self.image, &SIZE.to_string()];
        args.map(str::to_owned).to_vec()
    }

    /// Returns the arguments with which its guest writes to the clone.
    pub fn write_args(&self) -> Vec<String> {
        let args = ["write", base::IMAGE, &self.image, &self.name];
        let offsets = self.offsets.map(|offset| offset.to_string());
        args.map(str::to_owned).into_iter().chain(offsets).collect()
    }
}
