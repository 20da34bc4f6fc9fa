//! Runs a guest with the stdio of this process.

use std::collections::BTreeMap;

use wasmtime::Result;
use wasmtime::error::Context;
use wasmtime_wasi::WasiCtx;

use crate::args::Options;
use crate::command::{self, End, Form};
use crate::json::JsonReports;
use crate::program::Program;

/// Runs a program to its end. Fails if it can't be started.
pub fn run(program: &Program, args: &[String], options: &Options, form: Form) -> Result<End> {
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio();
    wasi.arg(&program.name).args(args);
    for dir in &options.dirs {
        wasi.preopened_dir(&dir.host, &dir.guest, dir.perms)
            .with_context(|| format!("--dir: opening the directory {}", dir.host.display()))?;
    }
    // The last value of a name counts.
    let env = options.env.iter().map(|var| (&var.name, &var.value));
    for (name, value) in env.collect::<BTreeMap<_, _>>() {
        wasi.env(name, value);
    }
    let mut copies = options.limits.builder();
    if options.json {
        wasi.stdout(std::io::stderr());
        copies = copies.hooks(JsonReports);
    }
    command::run(&program.component, wasi.build(), copies.build(), form)
        .with_context(|| format!("starting {}", program.name))
}
