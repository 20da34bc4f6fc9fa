//! Runs WASI 0.2 commands with `sandbox:fast-copy` linked. `--help` tells how.

mod args;
mod command;
mod demo;

use std::process::ExitCode;

use anyhow::{Context, Result};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi::WasiCtx;

use args::{Guest, Invocation};

/// The component that `guest/build.sh` has made of `guest/clone-disk`.
const BUNDLED: &[u8] = include_bytes!("../../prebuilt/clone-disk.wasm");

fn main() -> ExitCode {
    let result = args::parse(std::env::args().skip(1)).and_then(|invocation| match invocation {
        Invocation::Help => {
            print!("{}", args::HELP);
            Ok(0)
        }
        Invocation::Demo { form } => demo::run(form),
        Invocation::Guest(guest) => run_guest(guest),
    });
    match result {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("run: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a guest with the stdio of this process and returns its exit status.
fn run_guest(guest: Guest) -> Result<i32> {
    let engine = Engine::default();
    let component = match &guest.component {
        Some(path) => Component::from_file(&engine, path)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("loading {}", path.display()))?,
        None => Component::new(&engine, BUNDLED)?,
    };
    let name = guest.component.as_deref().and_then(|path| path.to_str());

    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio();
    wasi.arg(name.unwrap_or("clone-disk")).args(&guest.args);
    for dir in &guest.dirs {
        wasi.preopened_dir(&dir.host, &dir.guest, dir.perms)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("opening the directory {}", dir.host.display()))?;
    }
    command::run(&engine, &component, wasi.build(), guest.form)
}
