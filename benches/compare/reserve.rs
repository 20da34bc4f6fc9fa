//! Memory that a virtual machine doesn't return to its host.
//!
//! With free page reporting, the kernel returns free blocks of 2 MiB (its `pageblock_order`) to the host,
//! and an allocation of such a block waits for the host: the same copy of a GiB takes 0.2 s or 2 s,
//! depending on the host. The kernel keeps smaller free blocks, and allocates the smallest block that is
//! large enough. So this takes memory and frees all but one page in each MiB: the copies use the free
//! memory between these pages.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use fast_copy_test_support::files::{GIB, KIB, MIB};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

use crate::machine::memory;

/// Enough for the sources of a group and a copy: 6 GiB in the group that scales the data.
const SIZE: u64 = 8 * GIB;

/// The reserve, which lasts until this is dropped.
pub struct Reserve {
    _pages: File,
}

impl Reserve {
    /// Makes a reserve of at most half of the available memory.
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
