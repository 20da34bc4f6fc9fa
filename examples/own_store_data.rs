//! Linking without `FastCopyView`: for a framework that owns the store's data and hands parts of it to
//! plug-ins, as a factor of Spin or a plug-in of wasmCloud does.
//!
//! Such a framework calls the generated functions itself, with a plain `fn` that finds the context and
//! the table in its own data. `FastCopy` is the type that the bindings are implemented for.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_fast_copy::p2::bindings;
use wasmtime_fast_copy::{FastCopy, FastCopyCtx, FastCopyCtxView};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// The framework's data. It knows its plug-ins by their place.
struct Host {
    table: ResourceTable,
    wasi: WasiCtx,
    plugins: Plugins,
}

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

/// What the plug-in does when the framework asks it to link itself.
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
    let end = command.wasi_cli_run().call_run(&mut store).await?;
    assert!(end.is_ok() && dir.path().join("copy").exists());
    Ok(())
}
