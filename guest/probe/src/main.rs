//! Makes raw calls of `sandbox:fast-copy`, also with operands that the SDK never passes.
//!
//! `probe FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH FLAGS [REPEAT]`
//!
//! - FUNCTION is `fast-copy`, `sparse-copy` or `stat`. The last calls `stat-at` of `wasi:filesystem` on
//!   the source, to compare the time of a call.
//! - SRC_DIR and DST_DIR are the name of a preopened directory, or `file:PATH` or `dir:PATH`. These two
//!   open a file or a directory in the first preopened directory, for reading only.
//! - In SRC_PATH and DST_PATH `\0` stands for NUL, and `{i}` for the number of the call, from 0.
//! - FLAGS are the WIT's names of flags, separated by commas. It may be empty.
//! - REPEAT is the number of calls; default: 1.
//!
//! Prints one line for the first call: `ok METHOD SIZE COPIED ALLOCATED DURABLE`, or for `stat` `ok`.
//! Stops at the first call that fails, and prints `err CODE OPERAND`, or for `stat` `err CODE`. If REPEAT
//! is given and no call has failed, prints the nanoseconds of each call on a second line.

use std::time::Instant;

use fast_copy::copy::{self, CopyError, CopyReport};
use fast_copy::{CopyFlags, Descriptor};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [
        function,
        src_dir,
        src_path,
        dst_dir,
        dst_path,
        flags,
        repeat @ ..,
    ] = args.as_slice()
    else {
        panic!("usage: probe FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH FLAGS [REPEAT]");
    };
    let (src, dst) = (descriptor(src_dir), descriptor(dst_dir));
    let flags = parse_flags(flags);
    let call = |src_path: &str, dst_path: &str| match function.as_str() {
        "fast-copy" => Outcome::Copy(copy::fast_copy(&src, src_path, &dst, dst_path, flags)),
        "sparse-copy" => Outcome::Copy(copy::sparse_copy(&src, src_path, &dst, dst_path, flags)),
        "stat" => Outcome::Stat(src.stat_at(PathFlags::empty(), src_path).map(drop)),
        other => panic!("unknown function {other}: use fast-copy, sparse-copy or stat"),
    };
    let calls: usize = repeat
        .first()
        .map_or(1, |n| n.parse().expect("REPEAT must be a number"));

    let mut times = Vec::with_capacity(calls);
    for i in 0..calls {
        let src_path = unescape(src_path, i);
        let dst_path = unescape(dst_path, i);
        let start = Instant::now();
        let outcome = call(&src_path, &dst_path);
        times.push(start.elapsed().as_nanos().to_string());
        match outcome.line() {
            Ok(line) if i == 0 => println!("{line}"),
            Ok(_) => {}
            Err(line) => {
                println!("{line}");
                return;
            }
        }
    }
    if !repeat.is_empty() {
        println!("{}", times.join(" "));
    }
}

/// The result of a call.
enum Outcome {
    Copy(Result<CopyReport, CopyError>),
    Stat(Result<(), ErrorCode>),
}

impl Outcome {
    /// Returns the line to print, as `Err` if the call has failed.
    fn line(self) -> Result<String, String> {
        match self {
            Outcome::Copy(Ok(report)) => Ok(format!(
                "ok {:?} {} {} {} {}",
                report.method, report.size, report.copied, report.allocated, report.durable
            )),
            Outcome::Copy(Err(error)) => Err(format!("err {:?} {:?}", error.code, error.operand)),
            Outcome::Stat(Ok(())) => Ok("ok".to_owned()),
            Outcome::Stat(Err(code)) => Err(format!("err {code:?}")),
        }
    }
}

/// Returns the descriptor that SRC_DIR or DST_DIR names.
fn descriptor(spelling: &str) -> Descriptor {
    let preopens = get_directories();
    let opened = match spelling.split_once(':') {
        Some(("file", path)) => Some((path, OpenFlags::empty())),
        Some(("dir", path)) => Some((path, OpenFlags::DIRECTORY)),
        _ => None,
    };
    match opened {
        Some((path, flags)) => preopens[0]
            .0
            .open_at(PathFlags::empty(), path, flags, DescriptorFlags::READ)
            .expect("PATH must exist in the first preopened directory"),
        None => {
            preopens
                .into_iter()
                .find(|(_, name)| name == spelling)
                .expect("the directory must be the name of a preopened one")
                .0
        }
    }
}

fn parse_flags(names: &str) -> CopyFlags {
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| match name {
            "replace" => CopyFlags::REPLACE,
            "symlink-follow" => CopyFlags::SYMLINK_FOLLOW,
            "require-reflink" => CopyFlags::REQUIRE_REFLINK,
            "dig-holes" => CopyFlags::DIG_HOLES,
            "no-sync" => CopyFlags::NO_SYNC,
            other => panic!("unknown flag {other}: use a name from the WIT's copy-flags"),
        })
        .fold(CopyFlags::empty(), |all, flag| all | flag)
}

/// Replaces `\0` and `{i}` in a path.
fn unescape(path: &str, call: usize) -> String {
    path.replace("\\0", "\0").replace("{i}", &call.to_string())
}
