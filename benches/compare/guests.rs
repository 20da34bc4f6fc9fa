//! Calls by guests, timed by the guest's clock.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fast_copy_test_support::command::{self, Form};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

static ENGINE: LazyLock<Engine> = LazyLock::new(command::engine);
static PROBE: LazyLock<Component> = LazyLock::new(|| component("probe"));
static PROBE_P3: LazyLock<Component> = LazyLock::new(|| component("probe-p3"));
static OWN_COPY: LazyLock<Component> = LazyLock::new(|| component("own-copy"));
static OWN_COPY_P3: LazyLock<Component> = LazyLock::new(|| component("own-copy-p3"));

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
    let output = run(probe_of(form), form, copies, dirs, &args)?;
    let (outcome, times) = output.split_once('\n').with_context(|| output.clone())?;
    Ok(Calls {
        outcome: outcome.to_owned(),
        times: parse(times)?,
    })
}

fn probe_of(form: Form) -> &'static Component {
    match form {
        Form::P3 => &PROBE_P3,
        Form::Async | Form::Sync => &PROBE,
    }
}

/// The times of calls, some of which ran at the same time.
pub struct InFlight {
    /// From each call to its end.
    pub calls: Vec<Duration>,
    /// From the first call to the last end.
    pub total: Duration,
}

impl InFlight {
    /// Parses a line with the time of each call, and one with that of all.
    fn parse(calls: &str, total: &str) -> Result<Self> {
        Ok(Self {
            calls: parse(calls)?,
            total: parse(total)?.iter().sum(),
        })
    }
}

/// Makes copies by `fast-copy`, some at the same time. In `dst` `{i}` stands for the number of the copy.
pub fn fast_copies_in_flight(
    form: Form,
    limits: FastCopyCtx,
    dir: &Path,
    src: &str,
    dst: &str,
    copies: usize,
    in_flight: usize,
) -> Result<InFlight> {
    let (copies, in_flight) = (copies.to_string(), in_flight.to_string());
    let function = ["many", "fast-copy", ".", src, ".", dst, "no-sync"];
    let args: Vec<&str> = function
        .into_iter()
        .chain([copies.as_str(), in_flight.as_str()])
        .collect();
    let output = run(probe_of(form), form, limits, &[(dir, ".")], &args)?;
    let lines: Vec<&str> = output.lines().collect();
    match lines[..] {
        [counts, calls, total] if counts == format!("{copies} ok") => InFlight::parse(calls, total),
        _ => bail!("{output}"),
    }
}

/// Makes copies by streams of WASI 0.3, some at the same time.
pub fn own_copies_in_flight(
    dir: &Path,
    src: &str,
    dst: &str,
    copies: usize,
    in_flight: usize,
) -> Result<InFlight> {
    let (copies, in_flight) = (copies.to_string(), in_flight.to_string());
    let args = ["stream", src, dst, &copies, &in_flight];
    let limits = FastCopyCtx::new();
    let output = run(&OWN_COPY_P3, Form::P3, limits, &[(dir, ".")], &args)?;
    match output.lines().collect::<Vec<_>>()[..] {
        [calls, total] => InFlight::parse(calls, total),
        _ => bail!("{output}"),
    }
}

/// Copies by a guest's own means: the method `std` is `std::fs::copy`, `splice` a loop of
/// `output-stream.blocking-splice`, and `stream` passes the source's stream to `write-via-stream` of WASI 0.3.
pub fn own_copy(
    method: &str,
    dir: &Path,
    src: &str,
    dst: &str,
    calls: usize,
) -> Result<Vec<Duration>> {
    let args = [method, src, dst, &calls.to_string()];
    let (component, form) = match method {
        "stream" => (&OWN_COPY_P3, Form::P3),
        _ => (&OWN_COPY, Form::Async),
    };
    let output = run(component, form, FastCopyCtx::new(), &[(dir, ".")], &args)?;
    parse(output.lines().next().unwrap_or_default())
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
