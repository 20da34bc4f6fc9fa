//! Shows how to limit an untrusted guest, authorize its copies, and export metrics of them. Run it with
//! `cargo run --example limits_and_metrics`.
//!
//! `FastCopyCtx::builder` sets the limits and the policy. Hooks authorize each copy, and count copies with
//! the crate `metrics`.
//!
//! The hooks forbid copies of one file. They compare the open source with it, not the path, because the guest
//! chooses the path: a symbolic link, a hard link and a second descriptor all lead to the same file.
//!
//! The example runs the bundled guest `clone-disk` several times. The first run succeeds, the hooks forbid
//! the next ones, and the last one exceeds the quota. Then it prints the metrics.

use std::num::NonZero;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, ensure};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyQuota, CopyRate, CopyReport, CopyRequest, CopyTimes,
    Decision, Durability, FastCopyCtx, FastCopyCtxView, FastCopyView, FreeSpaceFloor, Source,
};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Forbids copies of one file, and records metrics of all other copies.
///
/// A guest that may read the file can still read its bytes and write them elsewhere.
struct Metrics {
    /// The file. It is kept open, so that no other file can get its inode.
    secret: Source,
}

impl CopyHooks for Metrics {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        if request.source.id() == self.secret.id() {
            counter!("copies_forbidden").increment(1);
            return Decision::Deny;
        }
        Decision::Allow
    }

    // A host can keep a clone of the `CopyControl`, to cancel the copy or read its progress from any thread.
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
    // A real host installs an exporter here, for example one for Prometheus.
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    recorder.install().expect("no other recorder is installed");

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_fast_copy::p2::add_to_linker_sync(&mut linker)?;
    let guest = Component::new(&engine, include_bytes!("../prebuilt/clone-disk.wasm"))?;

    let dir = tempfile::tempdir()?;
    let [base, key, hard, symbolic] =
        ["base", "host.key", "hard-link", "symbolic-link"].map(|name| dir.path().join(name));
    std::fs::write(base, vec![1; 300 << 10])?;
    std::fs::write(&key, "a secret")?;
    std::fs::hard_link(&key, hard)?;
    std::os::unix::fs::symlink("host.key", symbolic)?;
    let secret = Source::open(&key, false)?;

    // All copies of this guest may allocate 1 MiB in total: three copies of the base, not four.
    let quota = CopyQuota::new(1 << 20);
    let bytes_per_second = NonZero::new(100 << 20).expect("not zero");
    let copies = FastCopyCtx::builder()
        .max_size(1 << 40)
        .quota(quota.clone())
        .free_space_floor(FreeSpaceFloor::new(1, 100 << 20))
        .rate(CopyRate::new(bytes_per_second))
        .wait_timeout(Some(Duration::from_secs(10)))
        .timeout(Some(Duration::from_secs(60)))
        .max_copies(1)
        .durability(Durability::Always)
        .allow_replace(false)
        .permissions_mask(0o600)
        .hooks(Metrics { secret })
        .build();

    // The source of each run, the names of its copies, and how many of them must succeed.
    for (src, names, copied) in [
        ("base", ["a", "b"], 2),
        ("host.key", ["c", "d"], 0),
        ("hard-link", ["c", "d"], 0),
        ("symbolic-link", ["c", "d"], 0),
        ("other/host.key", ["c", "d"], 0),
        ("base", ["e", "f"], 1),
    ] {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdio()
            .args(&["clone-disk", "clone"])
            .args(&["--independent", "--symlink-follow", src])
            .args(&names)
            .preopened_dir(dir.path(), ".", FsPerms::ReadWrite)?
            .preopened_dir(dir.path(), "other", FsPerms::ReadOnly)?;
        let state = State {
            wasi: wasi.build(),
            copies: copies.clone(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, state);
        let command = Command::instantiate(&mut store, &guest, &linker)?;
        match command.wasi_cli_run().call_run(&mut store) {
            Ok(_) => {}
            // clone-disk prints the error of a copy and exits with status 1.
            Err(error) if error.is::<I32Exit>() => {}
            Err(trap) => return Err(trap),
        }
        let made = names.iter().filter(|name| dir.path().join(name).exists());
        ensure!(
            made.count() == copied,
            "{src}: expected {copied} of {names:?}"
        );
        println!("Quota used: {} of {} bytes.", quota.used(), quota.limit());
    }

    println!();
    for (key, _, _, value) in metrics.snapshot().into_vec() {
        let forbidden = key.key().name() == "copies_forbidden";
        ensure!(!forbidden || value == DebugValue::Counter(4), "{value:?}");
        let value = match value {
            DebugValue::Histogram(values) => format!("{} values", values.len()),
            value => format!("{value:?}"),
        };
        println!("{}: {value}", key.key());
    }
    Ok(())
}
