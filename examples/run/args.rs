//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};
use wasmtime_wasi::FsPerms;

use crate::command::Form;

pub const HELP: &str = "\
Run a WebAssembly component (a WASI 0.2 command) that may clone files with sandbox:fast-copy.

Usage:
  run                                       make a disk image and have the bundled guest clone it
  run [OPTIONS] COMPONENT.wasm [ARG...]     run a component
  run [OPTIONS] -- ARG...                   run the bundled guest, clone-disk

Options:
  --dir HOST[::GUEST][:ro]   let the guest see the directory HOST, as GUEST, read-only
  --sync-linker              link the synchronous form
  --help
";

/// What the command line asks for.
pub enum Invocation {
    Help,
    Demo { form: Form },
    Guest(Guest),
}

pub struct Guest {
    /// `None` for the bundled one.
    pub component: Option<PathBuf>,
    pub args: Vec<String>,
    pub dirs: Vec<Preopen>,
    pub form: Form,
}

/// A directory for the guest.
#[derive(Debug, PartialEq)]
pub struct Preopen {
    pub host: PathBuf,
    pub guest: String,
    pub perms: FsPerms,
}

impl Preopen {
    /// Parses `HOST[::GUEST][:ro]`.
    fn parse(spelling: &str) -> Result<Self> {
        let (dirs, perms) = match spelling.strip_suffix(":ro") {
            Some(dirs) => (dirs, FsPerms::ReadOnly),
            None => (spelling, FsPerms::ReadWrite),
        };
        let (host, guest) = dirs.split_once("::").unwrap_or((dirs, dirs));
        if host.is_empty() || guest.is_empty() {
            bail!("--dir takes HOST[::GUEST][:ro], not '{spelling}'");
        }
        Ok(Self {
            host: host.into(),
            guest: guest.to_owned(),
            perms,
        })
    }
}

/// Parses the arguments after the program's name.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Invocation> {
    let mut args = args.into_iter();
    let mut dirs = Vec::new();
    let mut form = Form::Async;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => return Ok(Invocation::Help),
            "--sync-linker" => form = Form::Sync,
            "--dir" => match args.next() {
                Some(spelling) => dirs.push(Preopen::parse(&spelling)?),
                None => bail!("--dir needs HOST[::GUEST][:ro]"),
            },
            "--" => return Ok(guest(None, args, dirs, form)),
            option if option.starts_with('-') => bail!("unknown option {option}"),
            component => return Ok(guest(Some(component.into()), args, dirs, form)),
        }
    }
    if dirs.is_empty() {
        Ok(Invocation::Demo { form })
    } else {
        Ok(guest(None, args, dirs, form))
    }
}

fn guest(
    component: Option<PathBuf>,
    args: impl Iterator<Item = String>,
    dirs: Vec<Preopen>,
    form: Form,
) -> Invocation {
    Invocation::Guest(Guest {
        component,
        args: args.collect(),
        dirs,
        form,
    })
}
