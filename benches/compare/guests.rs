//! Calls by guests, timed by the guest's clock.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fast_copy_test_support::command::{self, Form};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static PROBE: LazyLock<Component> = LazyLock::new(|| component("probe"));
static OWN_COPY: LazyLock<Component> = LazyLock::new(|| component("own-copy"));

fn component(name: &str) -> Component {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt");
    Component::from_file(&ENGINE, format!("{dir}/{name}.wasm")).expect("a bundled component")
}

/// The outcome and the times of a guest's calls.
pub struct Calls {
    /// The result of the first call, as text.
    pub outcome: String,
    pub times: Vec<Duration>,
}

/// Calls `fast-copy` of `sandbox:fast-copy/copy`. In the names `{i}` stands for the number of the call.
pub fn fast_copy(
    form: Form,
    copies: FastCopyCtx,
    (src_dir, src): (&Path, &str),
    (dst_dir, dst): (&Path, &str),
    durable: bool,
    calls: usize,
) -> Result<Calls> {
    let flags = if durable { "" } else { "no-sync" };
    let args = ["fast-copy", "src", src, "dst", dst, flags];
    probe(
        form,
        copies,
        &[(src_dir, "src"), (dst_dir, "dst")],
        &args,
        calls,
    )
}

/// Calls `stat-at` of `wasi:filesystem`.
pub fn stat(form: Form, (dir, name): (&Path, &str), calls: usize) -> Result<Vec<Duration>> {
    let args = ["stat", "src", name, "src", "", ""];
    let calls = probe(form, FastCopyCtx::new(), &[(dir, "src")], &args, calls)?;
    Ok(calls.times)
}

fn probe(
    form: Form,
    copies: FastCopyCtx,
    dirs: &[(&Path, &str)],
    args: &[&str],
    calls: usize,
) -> Result<Calls> {
    let calls = calls.to_string();
    let args: Vec<&str> = args.iter().copied().chain([calls.as_str()]).collect();
    let output = run(&PROBE, form, copies, dirs, &args)?;
    let (outcome, times) = output.split_once('\n').with_context(|| output.clone())?;
    Ok(Calls {
        outcome: outcome.to_owned(),
        times: parse(times)?,
    })
}

/// Copies by a guest's own means: the method `std` is `std::fs::copy`, and `splice` a loop of
/// `output-stream.blocking-splice`.
pub fn own_copy(
    method: &str,
    dir: &Path,
    src: &str,
    dst: &str,
    calls: usize,
) -> Result<Vec<Duration>> {
    let args = [method, src, dst, &calls.to_string()];
    let copies = FastCopyCtx::new();
    parse(&run(&OWN_COPY, Form::Async, copies, &[(dir, ".")], &args)?)
}

fn run(
    component: &Component,
    form: Form,
    copies: FastCopyCtx,
    dirs: &[(&Path, &str)],
    args: &[&str],
) -> Result<String> {
    let stdout = MemoryOutputPipe::new(1 << 20);
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stderr()
        .stdout(stdout.clone())
        .arg("guest")
        .args(args);
    for (host, guest) in dirs {
        wasi.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    let status = command::run(&ENGINE, component, wasi.build(), copies, form)?;
    let output = String::from_utf8(stdout.contents().to_vec())?;
    ensure!(
        status == 0 && !output.starts_with("err"),
        "{args:?}: {output}"
    );
    Ok(output)
}

fn parse(times: &str) -> Result<Vec<Duration>> {
    times
        .split_whitespace()
        .map(|nanos| {
            Ok(Duration::from_nanos(
                nanos.parse().with_context(|| times.to_owned())?,
            ))
        })
        .collect()
}
