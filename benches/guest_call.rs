//! What it costs a guest to clone a file, over the native call: `cargo bench --bench guest_call -- DIR`.
//!
//! DIR must be on XFS or btrfs: where bytes are copied, they are all that would be measured. Native calls, calls of the
//! asynchronous and calls of the synchronous form take turns; medians in microseconds.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::{CopyOptions, FastCopyCtx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

#[path = "../examples/run/command.rs"]
mod command;
use command::Form;

const ROUNDS: usize = 10;
const CALLS_A_ROUND: usize = 100;
const SOURCE_SIZE: usize = 64 << 20;

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let parent = dir.unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(&parent).with_context(|| parent.clone())?;
    let src = dir.path().join("src");
    fs::write(&src, vec![1; SOURCE_SIZE])?;
    File::open(&src)?.sync_all()?;
    let report = CopyOptions::new()
        .no_sync(true)
        .require_reflink(true)
        .fast_copy(&src, dir.path().join("first"))
        .with_context(|| format!("cloning in {parent}, which should be on XFS or btrfs"))?;

    let engine = Engine::default();
    let prebuilt = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt/probe.wasm");
    let probe = Component::from_file(&engine, prebuilt)?;
    let [mut native, mut asynchronous, mut synchronous] = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        native.extend(call_natively(dir.path(), round)?);
        let call = |form| call_in_guest(&engine, &probe, form, dir.path(), round);
        asynchronous.extend(call(Form::Async)?);
        synchronous.extend(call(Form::Sync)?);
    }

    println!("{:?} of {SOURCE_SIZE} bytes in {parent}", report.method);
    let native = median(native);
    println!("native        {native:8.1} µs");
    for (name, times) in [("guest, async", asynchronous), ("guest, sync", synchronous)] {
        let guest = median(times);
        println!("{name:12}  {guest:8.1} µs, {:.1} µs more", guest - native);
    }
    Ok(())
}

fn call_natively(dir: &Path, round: usize) -> Result<Vec<f64>> {
    let options = CopyOptions::new().no_sync(true);
    let src = dir.join("src");
    (0..CALLS_A_ROUND)
        .map(|call| {
            let dst = dir.join(format!("native-{round}-{call}"));
            let start = Instant::now();
            options.fast_copy(&src, &dst)?;
            Ok(start.elapsed().as_nanos() as f64)
        })
        .collect()
}

/// The times as the guest's own clock has them.
fn call_in_guest(
    engine: &Engine,
    probe: &Component,
    form: Form,
    dir: &Path,
    round: usize,
) -> Result<Vec<f64>> {
    let stdout = MemoryOutputPipe::new(1 << 20);
    let dst = format!("{form:?}-{round}-{{i}}");
    let calls = CALLS_A_ROUND.to_string();
    let mut wasi = WasiCtx::builder();
    wasi.stdout(stdout.clone());
    wasi.args(&[
        "probe",
        "fast-copy",
        ".",
        "src",
        ".",
        &dst,
        "no-sync",
        &calls,
    ]);
    wasi.preopened_dir(dir, ".", FsPerms::ReadWrite)?;
    command::run(engine, probe, wasi.build(), FastCopyCtx::new(), form)?;
    let output = String::from_utf8(stdout.contents().to_vec())?;
    let times = output.lines().nth(1).with_context(|| output.clone())?;
    let times: Vec<f64> = times
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| output.clone())?;
    ensure!(times.len() == CALLS_A_ROUND, "{output}");
    Ok(times)
}

/// In microseconds, of nanoseconds.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2] / 1000.0
}
