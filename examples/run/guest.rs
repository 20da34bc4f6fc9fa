//! Runs a guest with the stdio of this process.

use std::collections::BTreeMap;

use wasmtime::error::Context;
use wasmtime::{Result, bail};
use wasmtime_wasi::WasiCtx;

use crate::args::Options;
use crate::command::{self, End, Form, Wasi};
use crate::json::JsonReports;
use crate::program::Program;

/// Runs a program to its end. Fails if it can't be started.
pub fn run(program: &Program, args: &[String], options: &Options, form: Form) -> Result<End> {
    if (program.wasi, form) == (Wasi::P3, Form::Sync) {
        bail!(
            "{} is a component of WASI 0.3, which runs asynchronously: leave out --sync-linker",
            program.name
        );
    }
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
    let (wasi, copies) = (wasi.build(), copies.build());
    command::run(&program.component, program.wasi, wasi, copies, form)
        .with_context(|| format!("starting {}", program.name))
}
