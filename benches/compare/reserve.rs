//! Memory that a virtual machine doesn't give back to its host.
//!
//! With free page reporting, the kernel gives free blocks of 2 MiB (its `pageblock_order`) back to the host,
//! and whoever needs one again waits for the host: the same copy of a GiB takes 0.2 s or 2 s, whoever makes
//! it, by what the host is doing. Free memory in smaller blocks stays, and the kernel takes the smallest
//! block that will do. So here memory is taken and let go again, but for one page in each MiB: copies are
//! made of what is between those.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use fast_copy_test_support::files::{GIB, KIB, MIB};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

use crate::machine::memory;

/// Enough for the sources of a group and a copy: 6 GiB where the time is shown against the data.
const SIZE: u64 = 8 * GIB;

/// The memory is kept for as long as this is.
pub struct Reserve {
    _pages: File,
}

impl Reserve {
    /// At most half of what is available.
    pub fn new() -> Result<Self> {
        let pages = File::from(memfd_create("reserve", MemfdFlags::CLOEXEC)?);
        let available = memory("MemAvailable").context("no MemAvailable in /proc/meminfo")?;
        let size = SIZE.min(available / 2);
        let starts = || (0..size).step_by(MIB as usize);
        let bytes = vec![1; MIB as usize];
        for start in starts() {
            pages.write_all_at(&bytes, start)?;
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for start in starts() {
            fallocate(&pages, flags, start + 4 * KIB, MIB - 4 * KIB)?;
        }
        Ok(Self { _pages: pages })
    }
}
