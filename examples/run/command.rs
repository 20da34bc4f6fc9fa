//! A host of WASI 0.2 commands with `sandbox:fast-copy` linked, in both linker forms.

use anyhow::Result;
use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p2::bindings::{Command, sync};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// The linker that a command runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Async,
    Sync,
}

/// Runs a command to its end and returns its exit status.
pub fn run(engine: &Engine, component: &Component, wasi: WasiCtx, form: Form) -> Result<i32> {
    let state = State {
        wasi,
        copies: FastCopyCtx::new(),
        table: ResourceTable::new(),
    };
    let store = Store::new(engine, state);
    let end = match form {
        Form::Async => Runtime::new()?.block_on(run_async(store, component)),
        Form::Sync => run_sync(store, component),
    };
    match end {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error.into()),
        },
    }
}

type End = wasmtime::Result<Result<(), ()>>;

async fn run_async(mut store: Store<State>, component: &Component) -> End {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    let command = Command::instantiate_async(&mut store, component, &linker).await?;
    command.wasi_cli_run().call_run(&mut store).await
}

fn run_sync(mut store: Store<State>, component: &Component) -> End {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;
    let command = sync::Command::instantiate(&mut store, component, &linker)?;
    command.wasi_cli_run().call_run(&mut store)
}

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
