//! Mistakes of an embedder give errors that say what is wrong. `docs/embedding.md` lists them.

use fast_copy_test_support::state::State;
use wasmtime::component::{Component, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_fast_copy::p2::bindings::copy::Host;
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView, p2};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::{Command, sync};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The eight bytes that begin, and can be all of, a core module and a component.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const GUEST: &[u8] = include_bytes!("../../prebuilt/clone-disk.wasm");
const GUEST_OF_0_3: &[u8] = include_bytes!("../../prebuilt/clone-disk-p3.wasm");
/// Imports an interface under a name.
const NAMED: &str = r#"
    (component
      (import "images" (implements "sandbox:fast-copy/copy@0.2.0") (instance
        (export "copy" (func)))))
"#;

#[derive(Default)]
struct Data {
    wasi: WasiCtx,
    copies: FastCopyCtx,
    table: ResourceTable,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl FastCopyView for Data {
    fn fast_copy(&mut self) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.copies,
            table: &mut self.table,
        }
    }
}

#[track_caller]
fn assert_says(error: Option<wasmtime::Error>, expected: &str) {
    let text = format!("{:#}", error.expect("an error"));
    assert!(text.contains(expected), "{text}");
}

fn asynchronous(engine: &Engine) -> Linker<Data> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    p2::add_to_linker_async(&mut linker).unwrap();
    linker
}

#[tokio::test]
async fn two_resource_tables_name_the_view() {
    let mut state = State::new();
    let mut other = ResourceTable::new();
    let mut view = FastCopyCtxView {
        ctx: &mut state.ctx,
        table: &mut other,
    };
    let dir = || Resource::<Descriptor>::new_borrow(0);
    let answer = Host::fast_copy(&mut view, dir(), "a".into(), dir(), "b".into(), None).await;
    assert_says(answer.err(), "FastCopyCtxView");
}

#[test]
fn a_core_module_is_no_component() {
    let error = Component::new(&Engine::default(), CORE_MODULE).err();
    assert_says(
        error,
        "attempted to parse a wasm module with a component parser",
    );
}

#[test]
fn an_engine_without_component_model_async_refuses_a_component_of_wasi_0_3() {
    let mut config = Config::new();
    config.wasm_component_model_async(false);
    let engine = Engine::new(&config).unwrap();
    let error = Component::new(&engine, GUEST_OF_0_3).err();
    assert_says(error, "require the component model async feature");
}

#[tokio::test]
async fn a_component_that_is_no_command_has_no_run() {
    let engine = Engine::default();
    let component = Component::new(&engine, EMPTY_COMPONENT).unwrap();
    let mut store = Store::new(&engine, Data::default());
    let linker = asynchronous(&engine);
    let error = Command::instantiate_async(&mut store, &component, &linker).await;
    assert_says(error.err(), "no exported instance named `wasi:cli/run@");
}

#[tokio::test]
async fn without_add_to_linker_the_import_is_named() {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, Data::default());
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    let error = Command::instantiate_async(&mut store, &component, &linker).await;
    assert_says(error.err(), "sandbox:fast-copy/");
}

#[test]
fn an_asynchronous_linker_in_a_synchronous_host_is_an_error() {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, Data::default());
    let linker = asynchronous(&engine);
    let error = sync::Command::instantiate(&mut store, &component, &linker)
        .and_then(|command| command.wasi_cli_run().call_run(&mut store).map(|_| ()));
    assert_says(
        error.err(),
        "store configuration requires that `*_async` functions are used instead",
    );
}

#[test]
fn adding_the_interfaces_twice_is_an_error() {
    let engine = Engine::default();
    let mut linker = asynchronous(&engine);
    assert_says(p2::add_to_linker_sync(&mut linker).err(), "defined twice");
}

#[test]
fn names_of_imports_have_to_be_enabled_in_the_engine() {
    let component = Component::new(&Engine::default(), wat::parse_str(NAMED).unwrap());
    assert_says(component.err(), "the `cm-implements` feature is not active");
}

#[test]
fn without_add_named_to_linker_the_name_is_in_the_error() {
    let mut config = Config::new();
    config.wasm_component_model_implements(true);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wat::parse_str(NAMED).unwrap()).unwrap();
    let error = asynchronous(&engine).instantiate_pre(&component);
    assert_says(error.err(), "component imports instance `images`");
}

#[test]
fn contexts_can_be_sent_and_shared() {
    fn check<T: Send + Sync + 'static>() {}
    check::<FastCopyCtx>();
    check::<wasmtime_fast_copy::FastCopyCtxBuilder>();
    check::<wasmtime_fast_copy::CopySlots>();
    check::<p2::CopyJob>();
    check::<p2::GuestOptions>();
}
