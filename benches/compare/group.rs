//! A piece of work on a file system.

use anyhow::Result;
use fast_copy_test_support::filesystems::FileSystem;

use crate::disks::Disks;
use crate::results::Results;

pub struct Group {
    pub work: &'static str,
    pub on: &'static str,
    pub run: fn(&Group, &Disks, &FileSystem, &mut Results) -> Result<()>,
}

impl Group {
    pub fn name(&self) -> String {
        format!("{}/{}", self.work, self.on)
    }

    /// Whether an argument names this group: in full, by its work, or by its file system.
    pub fn is(&self, wanted: &str) -> bool {
        wanted == self.name() || wanted == self.work || wanted == self.on
    }
}
