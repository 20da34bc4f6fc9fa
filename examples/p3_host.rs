//! Shows the shortest host for guests of WASI 0.3. Run it with
//! `cargo run --example p3_host --features p3`.
//!
//! It runs the bundled guest `clone-disk-p3`, which clones a file in a temporary directory twice.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p3::bindings::Command;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

struct State {
    wasi: WasiCtx,
    copies: FastCopyCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl FastCopyView for State {
    fn fast_copy(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.copies,
            table: &mut self.table,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_fast_copy::p3::add_to_linker(&mut linker)?;
    // The standard library of a guest in Rust imports WASI 0.2.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;

    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), "a disk image")?;
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio()
        .args(&["clone-disk-p3", "clone", "base", "copy-1", "copy-2"])
        .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
    let state = State {
        wasi: wasi.build(),
        copies: FastCopyCtx::new(),
        table: ResourceTable::new(),
    };

    let mut store = Store::new(&engine, state);
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk-p3.wasm"))?;
    let command = Command::instantiate_async(&mut store, &guest, &linker).await?;
    let result = store
        .run_concurrent(async |store| command.wasi_cli_run().call_run(store).await)
        .await??;
    assert!(result.is_ok() && dir.path().join("copy-2").exists());
    Ok(())
}
