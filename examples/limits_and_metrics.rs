//! A host that bounds a guest which it doesn't trust, forbids what it likes, and counts what it does:
//! with the limits and the policy of `FastCopyCtx::builder`, and with hooks that export counters and
//! histograms through the `metrics` facade.
//!
//! Runs the bundled guest three times: once well, once against a policy, once beyond its quota.

use std::num::NonZero;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, ensure};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyQuota, CopyRate, CopyReport, CopyRequest, CopyTimes,
    Durability, FastCopyCtx, FastCopyCtxView, FastCopyView, FreeSpaceFloor,
};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Forbids copies of secrets, and counts the others.
struct Watch;

impl CopyHooks for Watch {
    fn authorize(&self, request: &CopyRequest<'_>) -> bool {
        let allowed = !request.src_path.ends_with(".key");
        if !allowed {
            counter!("copies_forbidden").increment(1);
        }
        allowed
    }

    // Its control could be kept, to show how far the copy is from elsewhere, and to cancel it.
    fn started(&self, _: &CopyRequest<'_>, _: &CopyControl) {
        gauge!("copies_running").increment(1);
    }

    fn progress(&self, _: &CopyRequest<'_>, copied: u64) {
        gauge!("copy_progress_bytes").set(copied as f64);
    }

    fn ended(
        &self,
        _: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        gauge!("copies_running").decrement(1);
        histogram!("copy_wait_seconds").record(times.waited);
        histogram!("copy_work_seconds").record(times.worked);
        match result {
            Ok(report) => {
                let method = format!("{:?}", report.method);
                counter!("copies", "method" => method).increment(1);
                counter!("copied_bytes").increment(report.copied);
            }
            Err(error) => {
                let step = format!("{:?}", error.step());
                counter!("copies_failed", "step" => step).increment(1);
            }
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

fn main() -> Result<()> {
    // A real host installs an exporter here, for Prometheus say.
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    recorder.install().expect("no other recorder");

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;

    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("base"), vec![1; 300 << 10])?;
    std::fs::write(dir.path().join("host.key"), "a secret")?;

    let quota = CopyQuota::new(1 << 20);
    let mebibytes = NonZero::new(100 << 20).expect("more than nothing");
    let copies = FastCopyCtx::builder()
        .max_size(1 << 40)
        .quota(quota.clone())
        .free_space_floor(FreeSpaceFloor {
            percent: 1,
            bytes: 100 << 20,
        })
        .rate(CopyRate::new(mebibytes))
        .timeout(Some(Duration::from_secs(60)))
        .max_copies(1)
        .durability(Durability::Always)
        .allow_replace(false)
        .permissions_mask(0o600)
        .hooks(Watch)
        .build();

    for (src, names, copied) in [
        ("base", ["a", "b"], 2),
        ("host.key", ["c", "d"], 0),
        ("base", ["e", "f"], 1),
    ] {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio()
            .args(&["clone-disk", "clone", "--independent", src])
            .args(&names)
            .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?;
        let state = State {
            wasi: wasi.build(),
            copies: copies.clone(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, state);
        let command = Command::instantiate(&mut store, &guest, &linker)?;
        match command.wasi_cli_run().call_run(&mut store) {
            Ok(_) => {}
            Err(error) if error.is::<I32Exit>() => {}
            Err(trap) => return Err(trap),
        }
        let made = names.iter().filter(|name| dir.path().join(name).exists());
        ensure!(made.count() == copied, "{src} was copied to {names:?}");
        println!("The quota: {} of {} bytes.", quota.used(), quota.limit());
    }

    println!();
    for (key, _, _, value) in metrics.snapshot().into_vec() {
        let value = match value {
            DebugValue::Histogram(values) => format!("{} values", values.len()),
            value => format!("{value:?}"),
        };
        println!("{}: {value}", key.key());
    }
    Ok(())
}
