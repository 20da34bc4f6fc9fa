//! Makes raw calls of `sandbox:fast-copy`, with operands that the SDK would never pass.
//!
//! `probe FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH FLAGS [REPEAT]`
//!
//! FUNCTION is `fast-copy`, `sparse-copy`, or, to see what a call of `wasi:filesystem` takes, `stat`:
//! its `stat-at` of the source.
//!
//! A directory is a preopen's name; `file:PATH` is the descriptor of a file in the first preopen, and
//! `dir:PATH` that of a directory there, opened for reading only.
//! In a path `\0` stands for NUL and `{i}` for the number of the call. Flags are named as in the
//! WIT, with commas. Prints `ok METHOD SIZE COPIED ALLOCATED DURABLE` or `err CODE OPERAND`, for
//! `stat` `ok` or `err CODE`, and with REPEAT the nanoseconds of each call.

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
        other => panic!("no function {other}"),
    };
    let calls: usize = repeat.first().map_or(1, |n| n.parse().expect("a number"));

    let mut times = Vec::with_capacity(calls);
    for i in 0..calls {
        let src_path = unescape(src_path, i);
        let dst_path = unescape(dst_path, i);
        let start = Instant::now();
        let outcome = call(&src_path, &dst_path);
        times.push(start.elapsed().as_nanos().to_string());
        match outcome.in_words() {
            Ok(words) if i == 0 => println!("{words}"),
            Ok(_) => {}
            Err(words) => {
                println!("{words}");
                return;
            }
        }
    }
    if !repeat.is_empty() {
        println!("{}", times.join(" "));
    }
}

enum Outcome {
    Copy(Result<CopyReport, CopyError>),
    Stat(Result<(), ErrorCode>),
}

impl Outcome {
    fn in_words(self) -> Result<String, String> {
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
            .expect("it is in the first preopen"),
        None => {
            preopens
                .into_iter()
                .find(|(_, name)| name == spelling)
                .expect("a preopen's name")
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
            other => panic!("no flag {other}"),
        })
        .fold(CopyFlags::empty(), |all, flag| all | flag)
}

fn unescape(path: &str, call: usize) -> String {
    path.replace("\\0", "\0").replace("{i}", &call.to_string())
}
