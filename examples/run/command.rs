//! A host of commands of WASI 0.2 and 0.3 with `sandbox:fast-copy` linked.

use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Error, Result, Store};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p2::bindings::{CommandPre, sync};
use wasmtime_wasi::p3;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// The linker that a command of WASI 0.2 runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Async,
    Sync,
}

/// The version of WASI that a command is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasi {
    P2,
    P3,
}

/// Returns an engine for commands of both versions.
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config)
}

/// How a command has ended.
pub enum End {
    /// With an exit status.
    Exited(i32),
    Trapped(Error),
}

impl End {
    fn of(called: Result<Result<(), ()>>) -> Self {
        match called {
            Ok(Ok(())) => Self::Exited(0),
            Ok(Err(())) => Self::Exited(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Self::Exited(exit.0),
                None => Self::Trapped(error),
            },
        }
    }
}

/// Runs a command to its end. Fails if it can't be linked. `form` has no effect on one of WASI 0.3.
pub fn run(
    component: &Component,
    version: Wasi,
    wasi: WasiCtx,
    copies: FastCopyCtx,
    form: Form,
) -> Result<End> {
    let state = State {
        wasi,
        copies,
        table: ResourceTable::new(),
    };
    let store = Store::new(component.engine(), state);
    match (version, form) {
        (Wasi::P2, Form::Async) => Runtime::new()?.block_on(run_async(store, component)),
        (Wasi::P2, Form::Sync) => run_sync(store, component),
        (Wasi::P3, _) => Runtime::new()?.block_on(run_p3(store, component)),
    }
}

async fn run_async(mut store: Store<State>, component: &Component) -> Result<End> {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    let linked = CommandPre::new(linker.instantiate_pre(component)?)?;
    let called = async {
        let command = linked.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    Ok(End::of(called.await))
}

async fn run_p3(mut store: Store<State>, component: &Component) -> Result<End> {
    let mut linker = Linker::new(store.engine());
    // The standard library of a guest in Rust imports WASI 0.2.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_async(&mut linker)?;
    wasmtime_fast_copy::p3::add_to_linker(&mut linker)?;
    let linked = p3::bindings::CommandPre::new(linker.instantiate_pre(component)?)?;
    let called = async {
        let command = linked.instantiate_async(&mut store).await?;
        store
            .run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await)
            .await?
    };
    Ok(End::of(called.await))
}

fn run_sync(mut store: Store<State>, component: &Component) -> Result<End> {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;
    let linked = sync::CommandPre::new(linker.instantiate_pre(component)?)?;
    let called = linked
        .instantiate(&mut store)
        .and_then(|command| command.wasi_cli_run().call_run(&mut store));
    Ok(End::of(called))
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
