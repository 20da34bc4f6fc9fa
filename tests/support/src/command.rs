//! A host of commands of WASI 0.2 and 0.3 with `sandbox:fast-copy` linked.

use anyhow::Result;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p2::bindings::{Command, sync};
use wasmtime_wasi::p3;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// The front, and the linker's form, that a command runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// WASI 0.2 in the asynchronous form.
    Async,
    /// WASI 0.2 in the synchronous form.
    Sync,
    /// WASI 0.3.
    P3,
}

/// Returns an engine for commands of every form.
pub fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config).expect("an engine")
}

/// Runs a command to its end and returns its exit status.
pub fn run(
    engine: &Engine,
    component: &Component,
    wasi: WasiCtx,
    copies: FastCopyCtx,
    form: Form,
) -> Result<i32> {
    if form == Form::Sync {
        let store = Store::new(engine, State::new(wasi, copies));
        return status(call_sync(store, component));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run_async(engine, component, wasi, copies, form))
}

/// Runs a command to its end in an asynchronous form. Dropping the future ends the guest.
pub async fn run_async(
    engine: &Engine,
    component: &Component,
    wasi: WasiCtx,
    copies: FastCopyCtx,
    form: Form,
) -> Result<i32> {
    let store = Store::new(engine, State::new(wasi, copies));
    status(match form {
        Form::Async => call_async(store, component).await,
        Form::Sync => call_sync(store, component),
        Form::P3 => call_p3(store, component).await,
    })
}

/// Returns the exit status of a command, or its trap.
fn status(end: wasmtime::Result<Result<(), ()>>) -> Result<i32> {
    match end {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error.into()),
        },
    }
}

async fn call_async(
    mut store: Store<State>,
    component: &Component,
) -> wasmtime::Result<Result<(), ()>> {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    let command = Command::instantiate_async(&mut store, component, &linker).await?;
    command.wasi_cli_run().call_run(&mut store).await
}

async fn call_p3(
    mut store: Store<State>,
    component: &Component,
) -> wasmtime::Result<Result<(), ()>> {
    let mut linker = Linker::new(store.engine());
    // The standard library of a guest in Rust imports WASI 0.2.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p3::add_to_linker(&mut linker)?;
    let command = p3::bindings::Command::instantiate_async(&mut store, component, &linker).await?;
    store
        .run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await)
        .await?
}

fn call_sync(mut store: Store<State>, component: &Component) -> wasmtime::Result<Result<(), ()>> {
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

impl State {
    fn new(wasi: WasiCtx, copies: FastCopyCtx) -> Self {
        Self {
            wasi,
            copies,
            table: ResourceTable::new(),
        }
    }
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
