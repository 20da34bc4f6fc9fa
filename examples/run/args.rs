//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser};

use crate::command::Form;
use crate::dir::{self, Preopen};
use crate::env::Variable;
use crate::limits::Limits;

const USAGE: &str = "\
run                                     make a disk image, and let the bundled guest clone it
       run [OPTIONS] COMPONENT.wasm [ARG...]   run a component
       run [OPTIONS] -- ARG...                 run the bundled guest, clone-disk (try -- --help)";

const NOTES: &str = "\
SIZE is a number of bytes, or a number with K, M, G or T: 40G is 40 GiB.
The exit status is the guest's own, 2 if the guest could not be started, and 134 if it trapped.";

#[derive(Parser)]
#[command(
    name = "run",
    about = "Runs a WebAssembly component (a command of WASI 0.2 or 0.3) that may copy files with sandbox:fast-copy.",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_NAME"), ")"),
    override_usage = USAGE,
    after_help = NOTES,
)]
struct Line {
    #[command(flatten)]
    options: Options,

    /// Link by add_to_linker_sync instead of add_to_linker_async; WASI 0.2 only
    #[arg(long)]
    sync_linker: bool,

    /// The component and its arguments; after `--`, the arguments of the bundled guest.
    #[arg(hide = true, trailing_var_arg = true)]
    guest: Vec<OsString>,
}

/// What a guest gets from its host.
#[derive(Args, Default, PartialEq)]
pub struct Options {
    /// Let the guest see the directory HOST as GUEST [default: HOST], read-only with :ro
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    pub dirs: Vec<Preopen>,

    /// Set an environment variable of the guest; NAME alone takes the value that it has here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<Variable>,

    #[command(flatten)]
    pub limits: Limits,

    /// Print a line of JSON for each copy to stdout, and the guest's stdout to stderr
    #[arg(long)]
    pub json: bool,
}

/// What the command line asks for.
pub enum Invocation {
    Demo { form: Form },
    Guest(Guest),
}

pub struct Guest {
    /// `None` for the bundled one.
    pub component: Option<PathBuf>,
    pub args: Vec<String>,
    pub options: Options,
    pub form: Form,
}

/// Parses a command line, which begins with the program's name.
pub fn parse(command_line: Vec<OsString>) -> Result<Invocation, clap::Error> {
    let line = Line::try_parse_from(&command_line)?;
    let form = if line.sync_linker {
        Form::Sync
    } else {
        Form::Async
    };
    // The guest's arguments are the end of the command line.
    let before = command_line.len() - line.guest.len();
    let bundled = command_line[..before].last().is_some_and(|arg| arg == "--");
    if line.guest.is_empty() && !bundled {
        if line.options == Options::default() {
            return Ok(Invocation::Demo { form });
        }
        return Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "no guest: write COMPONENT.wasm after the options, or -- and the arguments of clone-disk",
        ));
    }
    if let Some(name) = dir::repeated_name(&line.options.dirs) {
        return Err(clap::Error::raw(
            ErrorKind::ArgumentConflict,
            format!(
                "--dir: two directories have the guest's name '{name}'; write HOST::GUEST with another GUEST"
            ),
        ));
    }
    let mut args = line.guest.into_iter();
    let component = match bundled {
        true => None,
        false => args.next().map(PathBuf::from),
    };
    Ok(Invocation::Guest(Guest {
        component,
        args: args.map(utf8).collect::<Result<_, _>>()?,
        options: line.options,
        form,
    }))
}

/// Returns an argument of the guest as text. WASI has no other arguments.
fn utf8(arg: OsString) -> Result<String, clap::Error> {
    arg.into_string().map_err(|arg| {
        clap::Error::raw(
            ErrorKind::InvalidUtf8,
            format!("the argument {arg:?} is not UTF-8; a guest's arguments must be"),
        )
    })
}
