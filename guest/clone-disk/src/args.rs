//! Parses the command line.

use fast_copy::CopyOptions;
use lexopt::prelude::*;

use crate::size::parse_size;

/// Returns the help. `order` says in which order the copies are made, and what an error means for the others.
pub fn help(order: &str) -> String {
    format!(
        "\
Clone disk images as fast as the host's file system allows.

Usage:
  clone-disk clone [OPTIONS] BASE NAME...   copy BASE to each NAME
  clone-disk tree [OPTIONS] DIR NEW         copy each file below DIR to the same path below NEW
  clone-disk verify A B                     compare the bytes of two files
  clone-disk usage FILE...                  show the space each FILE uses and shares

Options of clone and tree:
  --independent      share no blocks with the source (sparse-copy instead of fast-copy)
  --replace          replace files that exist
  --require-reflink  fail if a copy can't share blocks with its source
  --dig-holes        turn copied blocks that hold only zeros into holes
  --preserve-times   give each copy the modification and access time of its source
  --no-sync          return before the copies are on the disk

Options of clone:
  --size SIZE        make each copy this large, at least BASE's size; the rest is a hole
  --symlink-follow   follow BASE if it is a symbolic link (default: fail)

  -h, --help         print this help
  -V, --version      print the version

SIZE is a number of bytes, or a number with K, M, G or T: 40G is 40 GiB.

{order}

Exit status: 0 if everything succeeded, otherwise 1. Built natively, 2 if the arguments are wrong; WASI has no
other status than 0 and 1.
"
    )
}

pub enum Command {
    Help,
    Version,
    Clone {
        how: How,
        base: String,
        names: Vec<String>,
    },
    Tree {
        how: How,
        dir: String,
        new: String,
    },
    Verify {
        a: String,
        b: String,
    },
    Usage {
        files: Vec<String>,
    },
}

/// How files are copied.
pub struct How {
    pub independent: bool,
    pub options: CopyOptions,
}

/// Parses the arguments of this process. An error is a message for the user.
pub fn parse() -> Result<Command, String> {
    parse_arguments()
        .map_err(|error| format!("{error} (clone-disk --help lists all commands and options)"))
}

fn parse_arguments() -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let name = match parser.next()? {
        Some(Value(name)) => name.string()?,
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(argument) => return Err(argument.unexpected()),
        None => return Err("no command given".into()),
    };
    let known = ["clone", "tree", "verify", "usage"];
    if !known.contains(&name.as_str()) {
        let known = known.join(", ");
        return Err(format!("unknown command '{name}'; commands are {known}").into());
    }
    let Some((how, paths)) = parse_operands(&name, &mut parser)? else {
        return Ok(Command::Help);
    };
    Ok(match (name.as_str(), paths.as_slice()) {
        ("clone", [base, names @ ..]) if !names.is_empty() => Command::Clone {
            how,
            base: base.clone(),
            names: names.to_vec(),
        },
        ("clone", _) => return Err("clone needs a BASE and at least one NAME".into()),
        ("tree", [dir, new]) => Command::Tree {
            how,
            dir: dir.clone(),
            new: new.clone(),
        },
        ("tree", _) => return Err("tree needs two directories, DIR and NEW".into()),
        ("verify", [a, b]) => Command::Verify {
            a: a.clone(),
            b: b.clone(),
        },
        ("verify", _) => return Err("verify needs two files, A and B".into()),
        (_, []) => return Err("usage needs at least one FILE".into()),
        (_, _) => Command::Usage { files: paths },
    })
}

/// Parses what follows the name of a command: options, if it has some, and paths. Returns `None` if one of
/// them asks for help.
fn parse_operands(
    command: &str,
    parser: &mut lexopt::Parser,
) -> Result<Option<(How, Vec<String>)>, lexopt::Error> {
    let clones = command == "clone";
    let copies = clones || command == "tree";
    let mut independent = false;
    let mut options = CopyOptions::new().symlink_follow(false);
    let mut paths = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("independent") if copies => independent = true,
            Long("replace") if copies => options = options.replace(true),
            Long("require-reflink") if copies => options = options.require_reflink(true),
            Long("dig-holes") if copies => options = options.dig_holes(true),
            Long("no-sync") if copies => options = options.durable(false),
            Long("preserve-times") if copies => options = options.preserve_times(true),
            Long("size") if clones => {
                options = options.size(parse_size(&parser.value()?.string()?)?);
            }
            Long("symlink-follow") if clones => options = options.symlink_follow(true),
            Short('h') | Long("help") => return Ok(None),
            Value(path) => paths.push(path.string()?),
            argument => return Err(argument.unexpected()),
        }
    }
    let how = How {
        independent,
        options,
    };
    Ok(Some((how, paths)))
}
