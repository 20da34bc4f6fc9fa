//! Runs guest components in every form, and captures their output.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{LazyLock, OnceLock};

use tokio::io::AsyncWrite;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::command::{self, Form};

pub const FORMS: [Form; 3] = [Form::Async, Form::Sync, Form::P3];

/// The forms for guests of WASI 0.2.
pub const P2_FORMS: [Form; 2] = [Form::Async, Form::Sync];

static ENGINE: LazyLock<Engine> = LazyLock::new(command::engine);

/// A guest component: built from source if this user can do so, else the bundled one.
#[derive(Clone, Copy, Debug)]
pub enum Guest {
    CloneDisk,
    Hostile,
    Model,
    Probe,
}

impl Guest {
    /// Returns the component for a form: a guest of WASI 0.3 is a component of its own.
    pub fn component(self, form: Form) -> &'static Component {
        static COMPONENTS: [OnceLock<Component>; 8] = [const { OnceLock::new() }; 8];
        let file = components().join(self.file_name(form));
        let cell = &COMPONENTS[self as usize * 2 + usize::from(form == Form::P3)];
        cell.get_or_init(|| Component::from_file(&ENGINE, file).unwrap())
    }

    pub fn file_name(self, form: Form) -> String {
        let name = match self {
            Guest::CloneDisk => "clone-disk",
            Guest::Hostile => "hostile",
            Guest::Model => "model",
            Guest::Probe => "probe",
        };
        match form {
            Form::P3 => format!("{name}-p3.wasm"),
            Form::Async | Form::Sync => format!("{name}.wasm"),
        }
    }
}

/// Returns the folder of the components.
pub fn components() -> &'static Path {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let root = root.canonicalize().expect("the folder of the workspace");
        match build(&root) {
            Ok(built) => built,
            Err(reason) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "CI must build the guests from source: {reason}"
                );
                eprintln!("The guests can't be built here; the bundled ones are tested: {reason}");
                root.join("prebuilt")
            }
        }
    });
    &DIR
}

/// Builds the components, and returns their folder. Returns the reason if this user can't build them.
fn build(root: &Path) -> Result<PathBuf, String> {
    let built = root.join("target/guest");
    fs::create_dir_all(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    // The build writes to both.
    for folder in [&root.join("target"), &built] {
        tempfile::tempfile_in(folder)
            .map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    }
    let status = Command::new(root.join("guest/build.sh"))
        .arg(&built)
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => Ok(built),
        Ok(Some(3)) => Err("there is no toolchain for WebAssembly".to_owned()),
        // The status of a shell that doesn't find a program.
        Ok(Some(127)) => Err("there is no rustc or cargo".to_owned()),
        other => panic!("guest/build.sh: {other:?}"),
    }
}

/// A directory that the guest sees.
pub struct Preopen<'a> {
    pub host: &'a Path,
    pub guest: &'a str,
    pub perms: FsPerms,
}

impl<'a> Preopen<'a> {
    pub fn writable(host: &'a Path, guest: &'a str) -> Self {
        Self {
            host,
            guest,
            perms: FsPerms::ReadWrite,
        }
    }

    pub fn read_only(host: &'a Path, guest: &'a str) -> Self {
        Self {
            host,
            guest,
            perms: FsPerms::ReadOnly,
        }
    }
}

pub const FLAG: &str = "--probe-in-child";

/// Returns the command line of a program that makes one call of the guest `probe` in a directory. Tests
/// run it under strace.
pub fn probe_in_child(form: Form, dir: &Path, args: &[&str]) -> Vec<OsString> {
    let mut program = vec![std::env::current_exe().unwrap().into_os_string()];
    program.extend([FLAG.into(), format!("{form:?}").into()]);
    program.push(components().join(Guest::Probe.file_name(form)).into());
    program.push(dir.into());
    program.extend(args.iter().map(OsString::from));
    program
}

/// Runs the program of [`probe_in_child`].
pub fn main(args: &[String]) -> ExitCode {
    let [form, component, dir, args @ ..] = args else {
        panic!("{FLAG} FORM COMPONENT DIR ARG...");
    };
    let form = match form.as_str() {
        "Async" => Form::Async,
        "Sync" => Form::Sync,
        "P3" => Form::P3,
        other => panic!("no form {other}"),
    };
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio().arg("guest").args(args);
    wasi.preopened_dir(dir, ".", FsPerms::ReadWrite).unwrap();
    let component = Component::from_file(&ENGINE, component).unwrap();
    let status = command::run(&ENGINE, &component, wasi.build(), FastCopyCtx::new(), form);
    ExitCode::from(u8::try_from(status.unwrap()).unwrap())
}

/// The output and the exit status of a guest.
#[derive(Debug)]
pub struct Output {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a guest to its end. A trap fails the test.
#[track_caller]
pub fn run(guest: Guest, form: Form, dirs: &[Preopen<'_>], args: &[&str]) -> Output {
    run_with(guest, form, dirs, args, FastCopyCtx::new())
}

#[track_caller]
pub fn run_with(
    guest: Guest,
    form: Form,
    dirs: &[Preopen<'_>],
    args: &[&str],
    copies: FastCopyCtx,
) -> Output {
    try_run(guest, form, dirs, args, copies)
        .unwrap_or_else(|trap| panic!("{args:?} in {form:?}: {trap:#}"))
}

/// Runs a guest to its end, with a standard error that can be read while the guest runs.
#[track_caller]
pub fn run_with_stderr(
    guest: Guest,
    form: Form,
    dirs: &[Preopen<'_>],
    args: &[&str],
    copies: FastCopyCtx,
    stderr: &Stderr,
) -> Output {
    let pipes = Pipes {
        stderr: stderr.pipe.clone(),
        ..Pipes::new()
    };
    let mut wasi = pipes.wasi(dirs, args);
    wasi.stderr(stderr.clone());
    let status = command::run(&ENGINE, guest.component(form), wasi.build(), copies, form);
    pipes.output(status.unwrap())
}

/// What a guest writes to its standard error.
#[derive(Clone)]
pub struct Stderr {
    pipe: MemoryOutputPipe,
    is_terminal: bool,
}

impl Stderr {
    pub fn terminal() -> Self {
        Self::new(true)
    }

    pub fn file() -> Self {
        Self::new(false)
    }

    fn new(is_terminal: bool) -> Self {
        Self {
            pipe: Pipes::new().stderr,
            is_terminal,
        }
    }

    /// Returns what the guest has written until now.
    pub fn text(&self) -> String {
        text(&self.pipe)
    }
}

fn text(pipe: &MemoryOutputPipe) -> String {
    String::from_utf8(pipe.contents().to_vec()).unwrap()
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        self.pipe.async_stream()
    }
}

/// Runs a guest to its end. Returns the trap if there is one.
pub fn try_run(
    guest: Guest,
    form: Form,
    dirs: &[Preopen<'_>],
    args: &[&str],
    copies: FastCopyCtx,
) -> anyhow::Result<Output> {
    run_component(guest.component(form), form, dirs, args, copies)
}

/// Runs any component to its end. Returns the trap if there is one.
pub fn run_component(
    component: &Component,
    form: Form,
    dirs: &[Preopen<'_>],
    args: &[&str],
    copies: FastCopyCtx,
) -> anyhow::Result<Output> {
    let pipes = Pipes::new();
    let wasi = pipes.wasi(dirs, args).build();
    let status = command::run(component.engine(), component, wasi, copies, form)?;
    Ok(pipes.output(status))
}

/// Runs a guest to its end in an asynchronous form. Dropping the future ends the guest.
pub async fn run_to_end(
    guest: Guest,
    form: Form,
    dirs: &[Preopen<'_>],
    args: &[&str],
    copies: FastCopyCtx,
) -> anyhow::Result<Output> {
    let pipes = Pipes::new();
    let wasi = pipes.wasi(dirs, args).build();
    let status = command::run_async(&ENGINE, guest.component(form), wasi, copies, form).await?;
    Ok(pipes.output(status))
}

/// The pipes that a guest prints to.
struct Pipes {
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl Pipes {
    fn new() -> Self {
        Self {
            stdout: MemoryOutputPipe::new(1 << 20),
            stderr: MemoryOutputPipe::new(1 << 20),
        }
    }

    /// Returns the context of a guest that prints to these pipes.
    fn wasi(&self, dirs: &[Preopen<'_>], args: &[&str]) -> WasiCtxBuilder {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(self.stdout.clone()).stderr(self.stderr.clone());
        wasi.arg("guest").args(args);
        for dir in dirs {
            wasi.preopened_dir(dir.host, dir.guest, dir.perms).unwrap();
        }
        wasi
    }

    fn output(self, status: i32) -> Output {
        Output {
            status,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}
