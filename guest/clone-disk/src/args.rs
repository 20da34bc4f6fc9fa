//! Parses the command line.

use fast_copy::CopyOptions;
use lexopt::prelude::*;

use crate::size::parse_size;

pub const HELP: &str = "\
Clone disk images as fast as the host's file system allows.

Usage:
  clone-disk clone [OPTIONS] BASE NAME...   copy BASE to each NAME
  clone-disk verify A B                     compare the bytes of two files
  clone-disk usage FILE...                  show the space each FILE uses and shares

Options of clone:
  --independent      share no blocks with BASE (sparse-copy instead of fast-copy)
  --replace          replace each NAME that exists
  --require-reflink  fail if the copy can't share blocks with BASE
  --dig-holes        turn copied blocks that hold only zeros into holes
  --size SIZE        make each copy this large, at least BASE's size; the rest is a hole
  --preserve-times   give each copy the modification and access time of BASE
  --no-sync          return before the copies are on the disk
  --symlink-follow   follow BASE if it is a symbolic link (default: fail)

  -h, --help         print this help

SIZE is a number of bytes, or a number with K, M, G or T: 40G is 40 GiB.
";

pub enum Command {
    Help,
    Clone(CloneRequest),
    Verify { a: String, b: String },
    Usage { files: Vec<String> },
}

pub struct CloneRequest {
    pub independent: bool,
    pub options: CopyOptions,
    pub base: String,
    pub names: Vec<String>,
}

pub fn parse() -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        Some(Value(command)) if command == "clone" => parse_clone(parser),
        Some(Value(command)) if command == "verify" => parse_verify(parser),
        Some(Value(command)) if command == "usage" => parse_usage(parser),
        Some(Value(command)) => Err(format!("unknown command {command:?}").into()),
        Some(Short('h') | Long("help")) => Ok(Command::Help),
        Some(argument) => Err(argument.unexpected()),
        None => Err("no command given".into()),
    }
}

fn parse_clone(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut independent = false;
    let mut options = CopyOptions::new().symlink_follow(false);
    let mut paths = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("independent") => independent = true,
            Long("replace") => options = options.replace(true),
            Long("require-reflink") => options = options.require_reflink(true),
            Long("dig-holes") => options = options.dig_holes(true),
            Long("no-sync") => options = options.durable(false),
            Long("preserve-times") => options = options.preserve_times(true),
            Long("size") => options = options.size(parse_size(&parser.value()?.string()?)?),
            Long("symlink-follow") => options = options.symlink_follow(true),
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(path) => paths.push(path.string()?),
            argument => return Err(argument.unexpected()),
        }
    }
    if paths.len() < 2 {
        return Err("clone needs a BASE and at least one NAME".into());
    }
    Ok(Command::Clone(CloneRequest {
        independent,
        options,
        base: paths.remove(0),
        names: paths,
    }))
}

fn parse_verify(parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let Some(paths) = parse_paths(parser)? else {
        return Ok(Command::Help);
    };
    match <[String; 2]>::try_from(paths) {
        Ok([a, b]) => Ok(Command::Verify { a, b }),
        Err(_) => Err("verify needs two files, A and B".into()),
    }
}

fn parse_usage(parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    match parse_paths(parser)? {
        None => Ok(Command::Help),
        Some(files) if files.is_empty() => Err("usage needs at least one FILE".into()),
        Some(files) => Ok(Command::Usage { files }),
    }
}

/// Parses arguments that are all paths. Returns `None` if one of them asks for help.
fn parse_paths(mut parser: lexopt::Parser) -> Result<Option<Vec<String>>, lexopt::Error> {
    let mut paths = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Value(path) => paths.push(path.string()?),
            argument => return Err(argument.unexpected()),
        }
    }
    Ok(Some(paths))
}
