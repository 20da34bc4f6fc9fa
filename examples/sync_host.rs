//! Shows the shortest synchronous host: WASI, and one more line for fast copies. Run it with
//! `cargo run --example sync_host`.
//!
//! It runs the bundled guest `clone-disk`, which clones a file in a temporary directory. The host needs
//! no async runtime of its own. Calls of `copy` run on the thread that calls the guest; `jobs`, which
//! `clone-disk` uses, run on threads of `wasmtime-wasi`'s runtime.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p2::bindings::sync::Command;
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

fn main() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;

    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), "a disk image")?;
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio()
        .args(&["clone-disk", "clone", "base", "copy"])
        .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
    let state = State {
        wasi: wasi.build(),
        copies: FastCopyCtx::new(),
        table: ResourceTable::new(),
    };

    let mut store = Store::new(&engine, state);
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;
    let command = Command::instantiate(&mut store, &guest, &linker)?;
    let result = command.wasi_cli_run().call_run(&mut store)?;
    assert!(result.is_ok() && dir.path().join("copy").exists());
    Ok(())
}
