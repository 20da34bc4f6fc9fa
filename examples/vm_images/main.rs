//! Shows how a host prepares the disks of virtual machines. Run it with `cargo run --example vm_images`; to
//! see reflinks, use a directory on XFS or btrfs: `TMPDIR=/some/xfs cargo run --example vm_images`.
//!
//! The example makes a base image with an ext4 file system. For each of four machines it runs the bundled guest
//! `first-boot` twice: to clone the base at a larger size, and to write the machine's name and a few blocks to the
//! clone. Each guest has a directory of its own, a read-only directory with the base, and a quota.
//!
//! Then programs that are not part of this project check the base and the clones: `e2fsck`, `debugfs` and
//! `qemu-img`. The exit status is 1 if a check fails. A check whose program is not installed is listed as not made.

mod base;
mod checks;
mod expected;
mod host;
mod program;
mod table;
mod vm;

use std::path::Path;
use std::process::ExitCode;

use wasmtime::error::Context;
use wasmtime::{Result, ensure};
use wasmtime_fast_copy::{Source, sparse_copy};

use crate::checks::Checks;
use crate::host::Host;
use crate::vm::Vm;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const VMS: u64 = 4;

/// The block of the file systems and of all writes.
const BLOCK: u64 = 4 * KIB;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vm_images: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let dir = tempfile::tempdir().context("making a temporary directory")?;
    let dir = dir.path();
    base::make(dir)?;
    let image = dir.join(base::IMAGE);
    let size = base::SIZE / MIB;
    println!("{}: an ext4 file system of {size} MiB", image.display());
    // What the base must still be in the end, in blocks of its own.
    let original = dir.join("original.img");
    sparse_copy(&image, &original)?;

    // Room for one clone, not for two: a clone is charged what the base has allocated.
    let allocated = Source::open(&image, false)?.allocated();
    let quota = allocated + allocated / 2;
    let vms = (0..VMS).map(|number| Vm::new(dir, number, quota));
    let vms: Vec<Vm> = vms.collect::<Result<_>>()?;
    let host = Host::new(dir)?;

    let size = vm::SIZE / MIB;
    println!("\nEach guest clones it, and makes the clone {size} MiB large:");
    for vm in &vms {
        host.run(vm, &vm.clone_args())?;
    }
    table::print(dir, &vms)?;

    println!("\nEach guest writes its name, and three blocks behind the file system:");
    for vm in &vms {
        host.run(vm, &vm.write_args())?;
    }
    table::print(dir, &vms)?;

    println!("\nChecks:");
    check(dir, &original, &vms)
}

/// Checks the base and all clones. Fails if a check does.
fn check(dir: &Path, original: &Path, vms: &[Vm]) -> Result<()> {
    let mut checks = Checks::new(dir.to_owned());
    checks.file_system(base::IMAGE)?;
    checks.same(base::IMAGE, "original.img")?;
    let placeholder = expected::find_placeholder(original)?;
    for vm in vms {
        let expected = format!("{}-expected.img", vm.name);
        expected::make(original, placeholder, vm, &dir.join(&expected))?;
        checks.file_system(&vm.image)?;
        checks.file_holds(&vm.image, base::SEED, &expected::named(vm))?;
        checks.same(&vm.image, &expected)?;
    }
    println!("\n{checks}");
    ensure!(checks.failed == 0, "{} checks failed", checks.failed);
    Ok(())
}
