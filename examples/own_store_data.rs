//! Shows how to link without implementing `FastCopyView`, for a framework that owns the type of the
//! store's data. Run it with `cargo run --example own_store_data`.
//!
//! Examples of such frameworks are Spin with its factors, and wasmCloud with its plug-ins. The plug-in
//! calls the generated `add_to_linker` functions itself. It passes each a plain `fn` that returns the
//! context and the table from the framework's data. The type `FastCopy` selects this crate's
//! implementation of the bindings.
//!
//! The example runs the bundled guest `clone-disk`, which clones a file in a temporary directory.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_fast_copy::p2::bindings;
use wasmtime_fast_copy::{FastCopy, FastCopyCtx, FastCopyCtxView};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// The framework's data of a store.
struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    plugins: Plugins,
}

/// The data of its plug-ins.
struct Plugins {
    copies: FastCopyCtx,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Links all interfaces. The plug-in does this when the framework builds its linker.
fn link(linker: &mut Linker<Host>) -> Result<()> {
    fn find(host: &mut Host) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut host.plugins.copies,
            table: &mut host.table,
        }
    }
    bindings::types::add_to_linker::<_, FastCopy>(linker, find)?;
    bindings::copy::add_to_linker::<_, FastCopy>(linker, find)?;
    bindings::jobs::add_to_linker::<_, FastCopy>(linker, find)?;
    bindings::inspect::add_to_linker::<_, FastCopy>(linker, find)
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    link(&mut linker)?;

    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), "a disk image")?;
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio()
        .args(&["clone-disk", "clone", "base", "copy"])
        .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
    let host = Host {
        table: ResourceTable::new(),
        wasi: wasi.build(),
        plugins: Plugins {
            copies: FastCopyCtx::new(),
        },
    };

    let mut store = Store::new(&engine, host);
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;
    let command = Command::instantiate_async(&mut store, &guest, &linker).await?;
    let result = command.wasi_cli_run().call_run(&mut store).await?;
    assert!(result.is_ok() && dir.path().join("copy").exists());
    Ok(())
}
