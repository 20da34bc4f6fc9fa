//! Copies a file in the ways that a guest has without `sandbox:fast-copy`; the benchmarks compare
//! with it.
//!
//! `own-copy (std|splice) [--sync] SRC DST [REPEAT]`
//!
//! `std` is `std::fs::copy`. `splice` has the host pump the bytes from stream to stream, so that they
//! never enter the guest's memory; its paths are relative to the first preopen. With `--sync` each
//! call also waits for the disk. In a path `{i}` stands for the number of the call. Prints the
//! nanoseconds of each call.

use std::error::Error;
use std::fs::{self, File};
use std::process::ExitCode;
use std::time::Instant;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::streams::StreamError;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: own-copy (std|splice) [--sync] SRC DST [REPEAT]";

fn main() -> ExitCode {
    match run() {
        Ok(times) => {
            println!("{}", times.join(" "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("own-copy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (way, sync, paths) = match args.as_slice() {
        [way, "--sync", paths @ ..] => (*way, true, paths),
        [way, paths @ ..] => (*way, false, paths),
        [] => return Err(USAGE.into()),
    };
    let (src, dst, calls) = match paths {
        [src, dst] => (src, dst, 1),
        [src, dst, calls] => (src, dst, calls.parse::<u32>().map_err(|_| USAGE)?),
        _ => return Err(USAGE.into()),
    };
    let preopens = get_directories();
    let (dir, _) = preopens.first().ok_or("no preopen")?;

    let mut times = Vec::new();
    for i in 0..calls {
        let src = src.replace("{i}", &i.to_string());
        let dst = dst.replace("{i}", &i.to_string());
        let start = Instant::now();
        let result = match way {
            "std" => copy(&src, &dst, sync),
            "splice" => splice(dir, &src, &dst, sync),
            _ => return Err(USAGE.into()),
        };
        times.push(start.elapsed().as_nanos().to_string());
        result.map_err(|error| format!("{src} -> {dst}: {error}"))?;
    }
    Ok(times)
}

fn copy(src: &str, dst: &str, sync: bool) -> Result<()> {
    fs::copy(src, dst)?;
    if sync {
        File::options().write(true).open(dst)?.sync_all()?;
    }
    Ok(())
}

fn splice(dir: &Descriptor, src: &str, dst: &str, sync: bool) -> Result<()> {
    let open =
        |path, open_flags, flags| dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open_flags, flags);
    let src = open(src, OpenFlags::empty(), DescriptorFlags::READ)?;
    let create = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let dst = open(dst, create, DescriptorFlags::WRITE)?;
    let input = src.read_via_stream(0)?;
    let output = dst.write_via_stream(0)?;
    loop {
        // The host takes as much of this as it likes: wasmtime 48 takes 64 KiB a call.
        match output.blocking_splice(&input, u64::MAX) {
            Ok(_) => {}
            // The source's end. Were it the destination that is closed, the flush would say so.
            Err(StreamError::Closed) => break,
            Err(error) => return Err(in_words(error)),
        }
    }
    output.blocking_flush().map_err(in_words)?;
    if sync {
        dst.sync()?;
    }
    Ok(())
}

fn in_words(error: StreamError) -> Box<dyn Error> {
    match error {
        StreamError::LastOperationFailed(error) => error.to_debug_string().into(),
        StreamError::Closed => "the destination's stream is closed".into(),
    }
}
