//! Loads the component of a guest.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use wasmtime::component::Component;
use wasmtime::error::Context;
use wasmtime::{Result, bail};

use crate::command::{self, Wasi};

/// The bundled component, built from `guest/clone-disk` by `guest/build.sh`.
const BUNDLED: &[u8] = include_bytes!("../../prebuilt/clone-disk.wasm");

/// The first bytes of WebAssembly, and of its older form, a core module.
const MAGIC: &[u8] = b"\0asm";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A compiled component that can be run.
pub struct Program {
    pub component: Component,
    pub wasi: Wasi,
    /// Its first argument.
    pub name: String,
}

impl Program {
    /// Compiles the bundled guest, clone-disk.
    pub fn bundled() -> Result<Self> {
        Self::compile(BUNDLED, "clone-disk".to_owned())
    }

    /// Compiles the component in a file.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.to_string_lossy().into_owned();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "there is no file {name}; to run the bundled clone-disk, write -- before its arguments"
            ),
            Err(error) => return Err(error).context(name),
        };
        Self::compile(&bytes, name)
    }

    fn compile(bytes: &[u8], name: String) -> Result<Self> {
        if bytes.starts_with(CORE_MODULE) {
            bail!(
                "{name} is a core module, not a component: build it for the target wasm32-wasip2, or convert \
                 it with `wasm-tools component new`"
            );
        }
        if !bytes.starts_with(MAGIC) {
            bail!(
                "{name} is not WebAssembly: write the path of a component that is built for wasm32-wasip2"
            );
        }
        let engine = command::engine()?;
        let component = Component::new(&engine, bytes)
            .with_context(|| format!("{name} is not a component that wasmtime can load"))?;
        let kind = component.component_type();
        let exports_run = |version: &str| {
            let run = format!("wasi:cli/run@{version}.");
            kind.exports(&engine)
                .any(|(export, _)| export.starts_with(&run))
        };
        let wasi = match (exports_run("0.3"), exports_run("0.2")) {
            (true, _) => Wasi::P3,
            (false, true) => Wasi::P2,
            (false, false) => bail!(
                "{name} does not export wasi:cli/run of WASI 0.2 or 0.3: build a program with `main`, not a \
                 library, for the target wasm32-wasip2"
            ),
        };
        Ok(Self {
            component,
            wasi,
            name,
        })
    }
}
