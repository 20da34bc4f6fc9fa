//! A demonstration: a guest clones a disk image.

use std::fs;
use std::io::{Write, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use wasmtime::error::Context;
use wasmtime::{Result, bail};
use wasmtime_wasi::FsPerms;

use crate::args::Options;
use crate::command::{End, Form};
use crate::dir::Preopen;
use crate::guest;
use crate::image;
use crate::program::Program;

const MIB: u64 = 1 << 20;
const BASE: &str = "base.img";
const CLONES: [&str; 5] = ["vm1.img", "vm2.img", "vm3.img", "vm4.img", "vm5.img"];
/// A clone that is larger than the image.
const LARGE: &str = "large.img";

/// Makes an image, and runs the guest to clone it five times, to make a larger clone, to print the allocated
/// bytes, and to compare one clone with the image. Prints the time of the comparison.
pub fn run(form: Form) -> Result<()> {
    let dir = tempfile::tempdir().context("making a temporary directory")?;
    let base = dir.path().join(BASE);
    let mut out = stdout();
    writeln!(
        out,
        "Making the disk image {BASE} in {}.",
        dir.path().display()
    )?;
    let what = image::make(&base).context("making the disk image")?;
    writeln!(
        out,
        "It is {what}: {} MiB, of which {} MiB are allocated.",
        image::SIZE / MIB,
        allocated(&base)? / MIB,
    )?;

    let guest = Demonstrator::new(dir.path(), form)?;
    guest.run(&[&["clone", BASE], &CLONES[..]].concat())?;
    let mut total = 0;
    for name in CLONES {
        total += allocated(&dir.path().join(name))?;
    }
    guest.run(&["clone", "--size", "40G", BASE, LARGE])?;
    guest.run(&[&["usage", BASE], &CLONES[..], &[LARGE]].concat())?;

    let start = Instant::now();
    guest.run(&["verify", BASE, CLONES[4]])?;
    writeln!(
        out,
        "\nThe five clones have {} MiB allocated, shared blocks counted each time.\n\
         The guest compared one of them with the image in {:.1} s.",
        total / MIB,
        start.elapsed().as_secs_f64(),
    )?;
    Ok(())
}

/// The bundled guest, with one directory.
struct Demonstrator {
    program: Program,
    options: Options,
    form: Form,
}

impl Demonstrator {
    fn new(dir: &Path, form: Form) -> Result<Self> {
        let dir = Preopen {
            host: dir.to_owned(),
            guest: ".".to_owned(),
            perms: FsPerms::ReadWrite,
        };
        Ok(Self {
            program: Program::bundled()?,
            options: Options {
                dirs: vec![dir],
                ..Options::default()
            },
            form,
        })
    }

    /// Prints a command, and runs it in the guest. Fails if the guest does.
    fn run(&self, args: &[&str]) -> Result<()> {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        let command = format!("clone-disk {}", args.join(" "));
        writeln!(stdout(), "\nIn the guest: {command}")?;
        match guest::run(&self.program, &args, &self.options, self.form)? {
            End::Exited(0) => Ok(()),
            End::Exited(status) => bail!("the guest failed with status {status}: {command}"),
            End::Trapped(trap) => {
                Err(trap).with_context(|| format!("the guest trapped: {command}"))
            }
        }
    }
}

fn allocated(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.blocks() * 512)
}
