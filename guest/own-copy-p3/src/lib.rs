//! Copies a file as a guest on WASI 0.3 can without `sandbox:fast-copy`, for comparison in the benchmarks.
//!
//! `own-copy-p3 stream [--sync] SRC DST [REPEAT [IN_FLIGHT]]`
//!
//! - `stream` passes the stream of `read-via-stream` to `write-via-stream`: the host moves the bytes, and they
//!   never enter the guest's memory. SRC and DST are relative to the first preopened directory.
//! - `--sync` also synchronises the copy, within the time measured.
//! - In SRC and DST `{i}` stands for the number of the copy, from 0.
//! - REPEAT is the number of copies; default: 1.
//! - IN_FLIGHT is the number of copies that are made at once; default: 1.
//!
//! Prints the nanoseconds of each copy on one line, in the order in which they ended. If IN_FLIGHT is given,
//! prints the nanoseconds of all copies together on a second line.

#[path = "../../own-copy/src/command.rs"]
mod command;

use std::error::Error;
use std::time::Instant;

use command::{Command, failure};
use futures::stream::{self, StreamExt, TryStreamExt};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: own-copy-p3 stream [--sync] SRC DST [REPEAT [IN_FLIGHT]]";

struct OwnCopy;

impl wasip3::exports::cli::run::Guest for OwnCopy {
    async fn run() -> std::result::Result<(), ()> {
        run()
            .await
            .map_err(|error| eprintln!("own-copy-p3: {error}"))
    }
}

wasip3::cli::command::export!(OwnCopy);

/// Makes the copies that the arguments ask for, and prints their times.
async fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let command = Command::parse(&args).ok_or(USAGE)?;
    let in_flight = match (command.way, command.rest) {
        ("stream", []) => None,
        ("stream", [in_flight]) => Some(in_flight.parse().map_err(|_| USAGE)?),
        _ => return Err(USAGE.into()),
    };
    let preopens = get_directories();
    let (dir, _) = preopens
        .first()
        .ok_or("the host has preopened no directory")?;

    let all = Instant::now();
    let times: Vec<_> = stream::iter(0..command.copies)
        .map(async |i| {
            let paths = command.paths(i);
            let start = Instant::now();
            match copy(dir, &paths, command.sync).await {
                Ok(()) => Ok(start.elapsed().as_nanos().to_string()),
                Err(error) => Err(failure(&paths, error)),
            }
        })
        .buffer_unordered(in_flight.unwrap_or(1))
        .try_collect()
        .await?;
    let all = all.elapsed();
    println!("{}", times.join(" "));
    if in_flight.is_some() {
        println!("{}", all.as_nanos());
    }
    Ok(())
}

/// Copies by a stream from the source to the destination.
async fn copy(dir: &Descriptor, [src, dst]: &[String; 2], sync: bool) -> Result<()> {
    let open = |path: &String, open_flags, flags| {
        dir.open_at(PathFlags::SYMLINK_FOLLOW, path.clone(), open_flags, flags)
    };
    let src = open(src, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let create = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let dst = open(dst, create, DescriptorFlags::WRITE).await?;
    let (bytes, read) = src.read_via_stream(0);
    dst.write_via_stream(bytes, 0).await?;
    read.await?;
    if sync {
        dst.sync().await?;
    }
    Ok(())
}
