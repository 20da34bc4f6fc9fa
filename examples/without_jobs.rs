//! Shows a host that links `copy` and `inspect`, and not `jobs`. Run it with
//! `cargo run --example without_jobs`.
//!
//! A guest that imports `jobs` can't be instantiated: the example prints the error for the bundled guest
//! `clone-disk`. Then it runs `first-boot`, which does not import it, and makes one copy in a temporary directory.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_fast_copy::p2::bindings;
use wasmtime_fast_copy::{FastCopy, FastCopyCtx, FastCopyCtxView, FastCopyView};
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
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    bindings::types::add_to_linker::<_, FastCopy>(&mut linker, State::fast_copy)?;
    bindings::sync::copy::add_to_linker::<_, FastCopy>(&mut linker, State::fast_copy)?;
    bindings::sync::inspect::add_to_linker::<_, FastCopy>(&mut linker, State::fast_copy)?;

    // clone-disk imports `jobs` too.
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;
    let error = linker.instantiate_pre(&guest).err();
    println!("clone-disk: {}", error.expect("`jobs` is not linked"));

    // first-boot imports `copy` and `inspect`, and the `types` that they use.
    let guest = Component::new(&engine, include_bytes!("../prebuilt/first-boot.wasm"))?;
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), "a disk image")?;
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio()
        .args(&["first-boot", "clone", "base", "copy", "4096"])
        .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
    let state = State {
        wasi: wasi.build(),
        copies: FastCopyCtx::new(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let command = Command::instantiate(&mut store, &guest, &linker)?;
    let result = command.wasi_cli_run().call_run(&mut store)?;
    assert!(result.is_ok() && dir.path().join("copy").exists());
    Ok(())
}
