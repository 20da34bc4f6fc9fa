//! A host of the bundled guest `first-boot`.

use std::path::{Path, PathBuf};

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context;
use wasmtime::{Engine, Result, Store, bail};
use wasmtime_fast_copy::{FastCopyCtx, FastCopyCtxView, FastCopyView};
use wasmtime_wasi::p2::bindings::sync::CommandPre;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::base;
use crate::vm::Vm;

pub struct Host {
    guest: CommandPre<State>,
    /// The directory with the base.
    images: PathBuf,
}

impl Host {
    pub fn new(temporary: &Path) -> Result<Self> {
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;
        let guest = include_bytes!("../../prebuilt/first-boot.wasm");
        let guest = Component::new(&engine, guest).context("loading first-boot")?;
        Ok(Self {
            guest: CommandPre::new(linker.instantiate_pre(&guest)?)?,
            images: temporary.join(base::DIR),
        })
    }

    /// Runs the guest for a machine, in a store of its own. It can read the base, and use the machine's directory.
    /// Fails if the guest does.
    pub fn run(&self, vm: &Vm, args: &[String]) -> Result<()> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio().arg("first-boot").args(args);
        wasi.preopened_dir(&self.images, base::DIR, FsPerms::ReadOnly)?;
        wasi.preopened_dir(&vm.dir, &vm.name, FsPerms::ReadWrite)?;
        let state = State {
            wasi: wasi.build(),
            // A clone has the same quota.
            copies: vm.copies.clone(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.guest.engine(), state);
        let command = self.guest.instantiate(&mut store)?;
        match command.wasi_cli_run().call_run(&mut store) {
            Ok(Ok(())) => Ok(()),
            // The guest has printed why.
            Ok(Err(())) => bail!("the guest of {} failed", vm.name),
            Err(error) if error.is::<I32Exit>() => bail!("the guest of {} failed", vm.name),
            Err(trap) => Err(trap).with_context(|| format!("the guest of {} trapped", vm.name)),
        }
    }
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
