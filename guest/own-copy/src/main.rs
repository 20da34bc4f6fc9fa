//! Copies a file as a guest can without `sandbox:fast-copy`, for comparison in the benchmarks.
//!
//! `own-copy (std|splice) [--sync] SRC DST [REPEAT]`
//!
//! - `std` calls `std::fs::copy`.
//! - `splice` calls `blocking-splice` of `wasi:io`: the host moves the bytes from the source's stream to
//!   the destination's, and they never enter the guest's memory. SRC and DST are relative to the first
//!   preopened directory.
//! - `--sync` also synchronises the copy, within the time measured.
//! - In SRC and DST `{i}` stands for the number of the copy, from 0.
//! - REPEAT is the number of copies; default: 1.
//!
//! Prints the nanoseconds of each copy on one line.

mod command;

use std::error::Error;
use std::fs::{self, File};
use std::process::ExitCode;
use std::time::Instant;

use command::{Command, failure};
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

/// Makes the copies that the arguments ask for, and returns the nanoseconds of each.
fn run() -> Result<Vec<String>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let command = Command::parse(&args).ok_or(USAGE)?;
    let copy = match (command.way, command.rest) {
        ("std", []) => std_copy,
        ("splice", []) => splice,
        _ => return Err(USAGE.into()),
    };
    let preopens = get_directories();
    let (dir, _) = preopens
        .first()
        .ok_or("the host has preopened no directory")?;

    let mut times = Vec::new();
    for i in 0..command.copies {
        let paths = command.paths(i);
        let [src, dst] = &paths;
        let start = Instant::now();
        let result = copy(dir, src, dst, command.sync);
        times.push(start.elapsed().as_nanos().to_string());
        result.map_err(|error| failure(&paths, error))?;
    }
    Ok(times)
}

/// Copies with `std::fs::copy`, which reads and writes through the guest's memory.
fn std_copy(_: &Descriptor, src: &str, dst: &str, sync: bool) -> Result<()> {
    fs::copy(src, dst)?;
    if sync {
        File::options().write(true).open(dst)?.sync_all()?;
    }
    Ok(())
}

/// Copies with `blocking-splice`, which moves the bytes in the host.
fn splice(dir: &Descriptor, src: &str, dst: &str, sync: bool) -> Result<()> {
    let open =
        |path, open_flags, flags| dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open_flags, flags);
    let src = open(src, OpenFlags::empty(), DescriptorFlags::READ)?;
    let create = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let dst = open(dst, create, DescriptorFlags::WRITE)?;
    let input = src.read_via_stream(0)?;
    let output = dst.write_via_stream(0)?;
    loop {
        // The host chooses how many bytes to move in a call; wasmtime 48 moves 64 KiB.
        match output.blocking_splice(&input, u64::MAX) {
            Ok(_) => {}
            // The end of the source. If the destination were closed instead, the flush below would fail.
            Err(StreamError::Closed) => break,
            Err(error) => return Err(error_text(error)),
        }
    }
    output.blocking_flush().map_err(error_text)?;
    if sync {
        dst.sync()?;
    }
    Ok(())
}

/// Converts a stream's error to one with the host's text.
fn error_text(error: StreamError) -> Box<dyn Error> {
    match error {
        StreamError::LastOperationFailed(error) => error.to_debug_string().into(),
        StreamError::Closed => "the destination's stream is closed".into(),
    }
}
