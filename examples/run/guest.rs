//! Runs a guest with the stdio of this process.

use anyhow::{Context, Result};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi::WasiCtx;

use crate::args::Guest;
use crate::command;

/// The bundled component, built from `guest/clone-disk` by `guest/build.sh`.
const BUNDLED: &[u8] = include_bytes!("../../prebuilt/clone-disk.wasm");

/// Runs a guest and returns its exit status.
pub fn run(guest: Guest) -> Result<i32> {
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
