//! Prints how much space the images use and share.
//!
//! After a write to a shared block, the figures depend on the file system:
//! - XFS reserves up to 128 KiB around it, and counts them as allocated until it frees what is not used
//!   (`fs.xfs.speculative_cow_prealloc_lifetime`).
//! - btrfs counts a block as shared as long as another file refers to a part of its extent.

use std::path::Path;

use wasmtime::Result;
use wasmtime_fast_copy::{CopyErrorKind, CopyOptions, Source, summarize_extents};

use crate::vm::Vm;
use crate::{KIB, base};

/// Prints a line for each image, with sizes in KiB.
pub fn print(dir: &Path, vms: &[Vm]) -> Result<()> {
    println!("\nKiB    APPARENT  ALLOCATED     SHARED  EXTENTS");
    row("base", &dir.join(base::IMAGE))?;
    for vm in vms {
        row(&vm.name, &dir.join(&vm.image))?;
    }
    Ok(())
}

fn row(name: &str, image: &Path) -> Result<()> {
    let source = Source::open(image, false)?;
    let (shared, extents) = match summarize_extents(&source, &CopyOptions::new()) {
        Ok(summary) => (
            (summary.shared / KIB).to_string(),
            summary.extents.to_string(),
        ),
        // The file system has no extent map; tmpfs is one.
        Err(error) if matches!(error.kind(), CopyErrorKind::Unsupported(_)) => {
            ("-".to_owned(), "-".to_owned())
        }
        Err(error) => return Err(error.into()),
    };
    println!(
        "{name:4} {:>10} {:>10} {shared:>10} {extents:>8}",
        source.size() / KIB,
        source.allocated() / KIB,
    );
    Ok(())
}
