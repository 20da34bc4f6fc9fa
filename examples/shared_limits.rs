//! Shows limits that many guests share: one set of slots and one rate for all guests, and a quota for
//! each. Run it with `cargo run --example shared_limits`.
//!
//! It runs the bundled guest `clone-disk` eight times concurrently. Each guest clones a file of 1 MiB three
//! times. Then the example prints how much of each quota is used.

use std::num::NonZero;

use tokio::task::JoinSet;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_fast_copy::{
    CopyQuota, CopyRate, CopySlots, FastCopyCtx, FastCopyCtxView, FastCopyView,
};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};
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
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;
    let guest = CommandPre::new(linker.instantiate_pre(&guest)?)?;

    // At most 2 copies run at once, and together they read at most 500 MiB a second. Clones of `slots`
    // and of `rate` share one state.
    let slots = CopySlots::new(2);
    let rate = CopyRate::new(NonZero::new(500 << 20).expect("not zero"));

    let mut running = JoinSet::new();
    for i in 0..8 {
        // The copies of one guest may allocate 10 MiB in total.
        let quota = CopyQuota::new(10 << 20);
        let copies = FastCopyCtx::builder()
            .slots(slots.clone())
            .rate(rate.clone())
            .quota(quota.clone())
            .build();
        let guest = guest.clone();
        running.spawn(async move {
            run(guest, copies).await?;
            println!(
                "guest {i}: {} of {} bytes of its quota",
                quota.used(),
                quota.limit()
            );
            Ok::<(), wasmtime::Error>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    // Each copy has given back its slot.
    assert_eq!(slots.free(), 2);
    Ok(())
}

/// Runs one guest in a temporary directory of its own.
async fn run(guest: CommandPre<State>, copies: FastCopyCtx) -> Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), vec![1; 1 << 20])?;
    let mut wasi = WasiCtx::builder();
    wasi.args(&["clone-disk", "clone", "base", "a", "b", "c"])
        .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
    let state = State {
        wasi: wasi.build(),
        copies,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(guest.engine(), state);
    let command: Command = guest.instantiate_async(&mut store).await?;
    let result = command.wasi_cli_run().call_run(&mut store).await?;
    assert!(result.is_ok() && dir.path().join("c").exists());
    Ok(())
}
