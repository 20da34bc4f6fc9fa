//! A component imports an interface under two names, and the host gives each name its own context.

use std::fs::{self, File};

use fast_copy_test_support::state::State;
use tempfile::TempDir;
use wasmtime::component::{Component, Instance, Lift, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_fast_copy::p2::bindings::named::jobs::Host as _;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport, ErrorCode};
use wasmtime_fast_copy::p3::bindings::types as p3_types;
use wasmtime_fast_copy::{
    FastCopyCtx, FastCopyCtxView, FastCopyNamedData, FastCopyNamedView, NamedId, p2, p3,
};
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::{FsPerms, OpenMode, WasiCtx, WasiCtxView, WasiView};
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// `COPY` and `WASI` are the versions of the packages, `func` is `async func` for WASI 0.3.
const WORLD: &str = "
    package test:named;

    world two {
      use wasi:filesystem/types@WASI.{descriptor};
      use sandbox:fast-copy/types@COPY.{copy-report, copy-error};
      import first: sandbox:fast-copy/copy@COPY;
      import second: sandbox:fast-copy/copy@COPY;
      import first-types: sandbox:fast-copy/types@COPY;
      import second-types: sandbox:fast-copy/types@COPY;
      export copy-by-first: func(dir: borrow<descriptor>) -> result<copy-report, copy-error>;
      export copy-by-second: func(dir: borrow<descriptor>) -> result<copy-report, copy-error>;
      export options-of-first: func();
      export options-of-second: func();
    }
";

/// Copies `image` in the given directory, and returns what the host returns. Makes options, and keeps them.
const GUEST: &str = r#"
    (module
      (type $copy (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
      (import "first" "fast-copy" (func $first (type $copy)))
      (import "second" "fast-copy" (func $second (type $copy)))
      (import "first-types" "[constructor]copy-options" (func $first-options (result i32)))
      (import "second-types" "[constructor]copy-options" (func $second-options (result i32)))
      (import "wasi:filesystem/types@WASI" "[resource-drop]descriptor" (func $close (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "image first second")
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)

      (func (export "copy-by-first") (param $dir i32) (result i32)
        (call $first
          (local.get $dir) (i32.const 0) (i32.const 5)
          (local.get $dir) (i32.const 6) (i32.const 5)
          (i32.const 0) (i32.const 0)
          (i32.const 64))
        (call $close (local.get $dir))
        (i32.const 64))
      (func (export "copy-by-second") (param $dir i32) (result i32)
        (call $second
          (local.get $dir) (i32.const 0) (i32.const 5)
          (local.get $dir) (i32.const 12) (i32.const 6)
          (i32.const 0) (i32.const 0)
          (i32.const 64))
        (call $close (local.get $dir))
        (i32.const 64))

      (func (export "options-of-first") (drop (call $first-options)))
      (func (export "options-of-second") (drop (call $second-options))))
"#;

/// The names in the order of their contexts.
const NAMES: [[&str; 2]; 2] = [["first", "first-types"], ["second", "second-types"]];

fn id(name: &str) -> wasmtime::Result<NamedId> {
    match NAMES.iter().position(|names| names.contains(&name)) {
        Some(id) => Ok(NamedId(id)),
        None => wasmtime::bail!("no limits are set for {name}"),
    }
}

#[derive(Clone, Copy, Debug)]
enum Front {
    P2,
    P3,
}

impl Front {
    /// Makes the component.
    fn component(self, engine: &Engine) -> Component {
        let (wit, copy, wasi, func) = match self {
            Self::P2 => ("wit/p2", "0.2.0", "0.2.12", ": func"),
            Self::P3 => ("wit/p3", "0.3.0", "0.3.0", ": async func"),
        };
        let for_front = |text: &str| text.replace("COPY", copy).replace("WASI", wasi);
        let mut resolve = Resolve::default();
        resolve.push_path(wit).unwrap();
        let world = for_front(WORLD).replace(": func", func);
        let package = resolve.push_str("named.wit", &world).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        let mut module = wat::parse_str(for_front(GUEST)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        let mut encoder = ComponentEncoder::default();
        let component = encoder.module(&module).unwrap().encode().unwrap();
        Component::new(engine, component).unwrap()
    }

    fn link(self, linker: &mut Linker<Data>, component: &Component) -> wasmtime::Result<()> {
        // For the types, which the world also imports without a name.
        fn plain(data: &mut Data) -> FastCopyCtxView<'_> {
            data.named_fast_copy(NamedId(0))
        }
        match self {
            Self::P2 => {
                wasmtime_wasi::p2::add_to_linker_async(linker)?;
                p2::add_to_linker_async_with(linker, plain)?;
                p2::add_named_to_linker_async(linker, component, id)
            }
            Self::P3 => {
                wasmtime_wasi::p3::add_to_linker(linker)?;
                p3::add_to_linker_with(linker, plain)?;
                p3::add_named_to_linker(linker, component, id)
            }
        }
    }
}

struct Data {
    wasi: WasiCtx,
    copies: [FastCopyCtx; 2],
    table: ResourceTable,
}

impl Data {
    fn new(copies: [FastCopyCtx; 2]) -> Self {
        Self {
            wasi: WasiCtx::default(),
            copies,
            table: ResourceTable::new(),
        }
    }
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl FastCopyNamedView for Data {
    fn named_fast_copy(&mut self, id: NamedId) -> FastCopyCtxView<'_> {
        FastCopyCtxView {
            ctx: &mut self.copies[id.0],
            table: &mut self.table,
        }
    }
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_implements(true);
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
}

/// A guest with a directory, which has a file `image` of four bytes.
struct Guest {
    store: Store<Data>,
    instance: Instance,
    dir: TempDir,
    handle: u32,
}

impl Guest {
    async fn new(front: Front, copies: [FastCopyCtx; 2]) -> Self {
        let engine = engine();
        let component = front.component(&engine);
        let mut linker = Linker::new(&engine);
        front.link(&mut linker, &component).unwrap();
        let mut data = Data::new(copies);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("image"), "four").unwrap();
        let open = File::open(dir.path()).unwrap();
        let open = Dir::new(open, FsPerms::ReadWrite, OpenMode::READ, false);
        let handle = data.table.push(Descriptor::Dir(open)).unwrap().rep();
        let mut store = Store::new(&engine, data);
        let instance = linker.instantiate_async(&mut store, &component).await;
        Self {
            instance: instance.unwrap(),
            store,
            dir,
            handle,
        }
    }

    async fn copy<T>(&mut self, name: &str) -> T
    where
        T: Lift + Send + Sync + 'static,
        (T,): wasmtime::component::ComponentNamedList + Lift,
    {
        let function = self
            .instance
            .get_typed_func::<(Resource<Descriptor>,), (T,)>(&mut self.store, name)
            .unwrap();
        let dir = Resource::new_borrow(self.handle);
        function
            .call_async(&mut self.store, (dir,))
            .await
            .unwrap()
            .0
    }

    async fn make_options(&mut self, name: &str) -> wasmtime::Result<()> {
        let function = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, name)?;
        function.call_async(&mut self.store, ()).await
    }
}

fn sizes(first: u64, second: u64) -> [FastCopyCtx; 2] {
    [first, second].map(|size| FastCopyCtx::builder().max_size(size).build())
}

#[tokio::test]
async fn each_name_has_its_own_limits() {
    type Copied = Result<CopyReport, CopyError>;
    let mut guest = Guest::new(Front::P2, sizes(3, 4)).await;
    let refused = guest.copy::<Copied>("copy-by-first").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileTooLarge);
    assert_eq!(
        guest.copy::<Copied>("copy-by-second").await.unwrap().size,
        4
    );
    assert!(!guest.dir.path().join("first").exists());
    assert!(guest.dir.path().join("second").exists());
}

#[tokio::test]
async fn each_name_has_its_own_limits_in_wasi_0_3() {
    type Copied = Result<p3_types::CopyReport, p3_types::CopyError>;
    let mut guest = Guest::new(Front::P3, sizes(4, 3)).await;
    assert_eq!(guest.copy::<Copied>("copy-by-first").await.unwrap().size, 4);
    let refused = guest.copy::<Copied>("copy-by-second").await.unwrap_err();
    assert_eq!(refused.code, p3_types::ErrorCode::FileTooLarge);
}

#[tokio::test]
async fn options_count_for_the_name_that_made_them() {
    for front in [Front::P2, Front::P3] {
        let copies = [1, 2].map(|most| FastCopyCtx::builder().max_options(most).build());
        let mut guest = Guest::new(front, copies).await;
        guest.make_options("options-of-second").await.unwrap();
        guest.make_options("options-of-first").await.unwrap();
        guest.make_options("options-of-second").await.unwrap();
        let trap = guest.make_options("options-of-first").await.unwrap_err();
        let text = format!("{trap:#}");
        assert!(text.contains("copy-options"), "{front:?}: {text}");
    }
}

#[test]
fn jobs_count_for_the_name_that_started_them() {
    let state = State::new();
    fs::write(state.path("image"), "four").unwrap();
    let dirs = [(); 2].map(|()| state.borrow().rep());
    let copies = [0, 1].map(|most| FastCopyCtx::builder().max_jobs(most).build());
    let mut data = Data::new(copies);
    data.table = state.table;
    let mut start = |id| {
        let [src, dst] = dirs.map(Resource::new_borrow);
        let (from, to) = ("image".to_owned(), format!("copy-{id}"));
        let mut named = FastCopyNamedData(&mut data);
        let job = named.start_fast_copy(NamedId(id), src, from, dst, to, None);
        job.unwrap().map_err(|error| error.code)
    };
    assert_eq!(start(0).unwrap_err(), ErrorCode::Busy);
    start(1).unwrap();
    assert_eq!(start(1).unwrap_err(), ErrorCode::Busy);
}

#[test]
fn linking_fails_for_a_name_that_the_host_refuses() {
    let engine = engine();
    let component = Front::P2.component(&engine);
    let mut linker = Linker::<Data>::new(&engine);
    let refused = p2::add_named_to_linker_async(&mut linker, &component, |name| match name {
        "second" => wasmtime::bail!("no limits are set for {name}"),
        _ => Ok(NamedId(0)),
    });
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "no limits are set for second");
}
