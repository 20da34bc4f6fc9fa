//! Copies in a process of their own, under strace: to make a system call fail, to stop the copy at
//! one, to kill it there, or to read which calls it made.
//!
//! The child is this same program.

use std::fs;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyErrorKind, CopyOptions, CopyRate, CopyReport,
};

pub const FLAG: &str = "--copy-in-child";

/// After how many bytes a copy is crowded by others, where a test asks for it: what two threads have
/// moved when each has made two full writes.
const CROWD_AFTER: u64 = 4 * (256 << 10);

/// Which of the two functions, and by how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Fast,
    Sparse,
    /// By two threads, however little there is to move.
    SparseByTwo,
}

/// Both functions, with as many threads as they choose: one for small files.
pub const BOTH: [Function; 2] = [Function::Fast, Function::Sparse];

/// All ways in which bytes come into a copy.
pub const ALL: [Function; 3] = [Function::Fast, Function::Sparse, Function::SparseByTwo];

impl Function {
    pub fn call(
        self,
        options: &CopyOptions,
        src: &Path,
        dst: &Path,
    ) -> Result<CopyReport, CopyError> {
        match self {
            Function::Fast => options.fast_copy(src, dst),
            Function::Sparse => options.sparse_copy(src, dst),
            Function::SparseByTwo => options.clone().workers(2).sparse_copy(src, dst),
        }
    }
}

/// What a child said at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The method and the number of bytes copied.
    Ok(String, u64),
    /// The kind of the error, and its error number if any.
    Err(String, Option<i32>),
    /// It was killed by a signal.
    Killed(i32),
}

impl Outcome {
    #[track_caller]
    pub fn assert_method(&self, method: &str) {
        match self {
            Outcome::Ok(found, _) if found == method => {}
            other => panic!("expected {method}, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn assert_error(&self, kind: &str) {
        match self {
            Outcome::Err(found, _) if found == kind => {}
            other => panic!("expected {kind}, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn assert_errno(&self, errno: i32) {
        match self {
            Outcome::Err(_, Some(found)) if *found == errno => {}
            other => panic!("expected error number {errno}, got {other:?}"),
        }
    }
}

/// The child's side: copies as told, and prints the outcome.
pub fn main(args: &[String]) -> ExitCode {
    let [function, src, dst, options @ ..] = args else {
        panic!("{FLAG} FUNCTION SRC DST [OPTION...]");
    };
    let control = CopyControl::new();
    let mut copy = CopyOptions::new().control(control.clone());
    let mut show_memory = false;
    let mut crowded_by = None;
    let mut cancel_after = None;
    for option in options {
        copy = match option.as_str() {
            "replace" => copy.replace(true),
            "no-sync" => copy.no_sync(true),
            "dig-holes" => copy.dig_holes(true),
            "require-reflink" => copy.require_reflink(true),
            "show-memory" => {
                show_memory = true;
                copy
            }
            other => match other.split_once('=') {
                Some(("workers", count)) => copy.workers(count.parse().unwrap()),
                Some(("max-size", bytes)) => copy.max_size(bytes.parse().unwrap()),
                Some(("crowded-by", neighbour)) => {
                    crowded_by = Some(PathBuf::from(neighbour));
                    copy
                }
                Some(("cancel-after", bytes)) => {
                    cancel_after = Some(bytes.parse().unwrap());
                    copy
                }
                Some(("as", uid)) => {
                    become_user(uid.parse().unwrap());
                    copy
                }
                _ => panic!("no option {other}"),
            },
        };
    }
    let before = peak_memory();
    let function = ALL
        .into_iter()
        .find(|known| format!("{known:?}") == *function);
    let function = function.expect("a function's name");
    if let Some(neighbour) = crowded_by {
        for i in 0..thread::available_parallelism().unwrap().get() {
            let (control, neighbour) = (control.clone(), neighbour.clone());
            thread::spawn(move || {
                wait_for(CROWD_AFTER, &control);
                copy_for_ever(&neighbour, i)
            });
        }
    }
    if let Some(bytes) = cancel_after {
        thread::spawn(move || {
            wait_for(bytes, &control);
            control.cancel()
        });
    }
    let result = function.call(&copy, src.as_ref(), dst.as_ref());
    match result {
        Ok(report) => println!("ok {:?} {}", report.method, report.copied),
        Err(error) => {
            let kind = match error.kind() {
                CopyErrorKind::Os(os) => format!("{:?}", os.kind()),
                kind => format!("{kind:?}"),
            };
            // The name of the kind, without what it holds.
            let name = kind.split(['(', '{', ' ']).next().unwrap_or_default();
            let number = error.raw_os_error().unwrap_or(0);
            println!("err {name} {number}");
        }
    }
    if show_memory {
        println!("memory {}", peak_memory().saturating_sub(before));
    }
    ExitCode::SUCCESS
}

fn wait_for(copied: u64, control: &CopyControl) {
    while control.copied() < copied {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Is in another copy's way until the process ends: after its first chunk it waits for the next one's
/// turn, and costs nobody anything.
fn copy_for_ever(src: &Path, i: usize) {
    let rate = CopyRate::new(NonZero::new(1).unwrap());
    let options = CopyOptions::new().dig_holes(true).rate(rate);
    let result = options.sparse_copy(src, src.with_extension(i.to_string()));
    panic!("a byte a second, and it has ended: {result:?}");
}

/// Done by the child itself: another user may not even reach the program's folder.
#[expect(unsafe_code, reason = "the standard library only does this on exec")]
fn become_user(uid: u32) {
    // SAFETY: plain system calls, in a process with one thread.
    let results = unsafe {
        [
            libc::setgroups(0, std::ptr::null()),
            libc::setgid(uid),
            libc::setuid(uid),
        ]
    };
    assert_eq!(results, [0; 3]);
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("VmHWM in /proc/self/status")
}

/// A copy to be made by a child.
pub struct Copy<'a> {
    pub function: Function,
    pub src: &'a Path,
    pub dst: &'a Path,
    pub options: &'a [&'a str],
}

impl<'a> Copy<'a> {
    pub fn new(function: Function, src: &'a Path, dst: &'a Path) -> Self {
        Self {
            function,
            src,
            dst,
            options: &[],
        }
    }

    pub fn options(mut self, options: &'a [&'a str]) -> Self {
        self.options = options;
        self
    }

    fn append_to(&self, command: &mut Command) {
        command
            .arg(std::env::current_exe().unwrap())
            .arg(FLAG)
            .arg(format!("{:?}", self.function))
            .args([self.src, self.dst])
            .args(self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
    }

    /// Runs the child as another user.
    pub fn run_as(&self, uid: u32) -> Outcome {
        let mut command = Command::new("env");
        self.append_to(&mut command);
        command.arg(format!("as={uid}"));
        finish(command.spawn().unwrap()).0
    }

    /// Runs the child with a limit on the size of files, in bytes.
    pub fn run_with_size_limit(&self, bytes: u64) -> Outcome {
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={bytes}"));
        self.append_to(&mut command);
        finish(command.spawn().unwrap()).0
    }

    /// Runs the child and returns by how many KiB its peak of memory grew.
    pub fn run_for_memory(&self) -> (Outcome, u64) {
        let mut command = Command::new("env");
        self.append_to(&mut command);
        command.arg("show-memory");
        let (outcome, output) = finish(command.spawn().unwrap());
        let memory = output
            .lines()
            .find_map(|line| line.strip_prefix("memory ")?.parse().ok());
        (outcome, memory.expect("the child's memory"))
    }

    /// Runs the child with system calls tampered with, each as strace's `-e inject=` takes it.
    pub fn run_injected(&self, injections: &[&str]) -> Outcome {
        self.traced(injections).finish().0
    }

    /// Runs the child and returns the system calls that it made from its first touch of the source
    /// on, a line each.
    pub fn trace(&self) -> (Outcome, Vec<String>) {
        self.trace_injected(&[])
    }

    pub fn trace_injected(&self, injections: &[&str]) -> (Outcome, Vec<String>) {
        let (outcome, log) = self.traced(injections).finish();
        let path = self.src.to_str().unwrap();
        let calls = log
            .lines()
            .skip_while(|line| line.contains("execve(") || !line.contains(path))
            .map(|line| line.to_owned())
            .collect();
        (outcome, calls)
    }

    /// Starts the child, to be stopped when it has made the given call (`pread64:when=3`).
    pub fn start_and_stop_at(&self, call: &str, injections: &[&str]) -> Stopped {
        let stop = format!("{call}:signal=SIGSTOP");
        let mut all = vec![stop.as_str()];
        all.extend(injections);
        self.traced(&all).wait_until_stopped()
    }

    fn traced(&self, injections: &[&str]) -> Traced {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("strace");
        // Long strings: paths are looked for in the log.
        command.args(["-f", "-qq", "-s", "300", "-o"]).arg(&log);
        command.args(["-e", "trace=all"]);
        for injection in injections {
            command.args(["-e", &format!("inject={injection}")]);
        }
        self.append_to(&mut command);
        let child = command.spawn().expect("strace");
        Traced { child, log, dir }
    }

    /// How many calls named `call` the child makes before it touches the source.
    pub fn calls_before(&self, call: &str) -> usize {
        let (_, log) = self.traced(&[]).finish();
        let opening = format!(" {call}(");
        let source = self.src.to_str().unwrap();
        log.lines()
            .take_while(|line| line.contains("execve(") || !line.contains(source))
            .filter(|line| line.contains(&opening))
            .count()
    }

    /// Which of the calls named `call` in a run is the first whose line has `part` in it, for
    /// `when=`.
    pub fn number_of(&self, call: &str, part: &str) -> usize {
        let (_, log) = self.traced(&[]).finish();
        let _ = fs::remove_file(self.dst);
        let number = log
            .lines()
            .filter(|line| line.contains(&format!(" {call}(")))
            .position(|line| line.contains(part));
        number.unwrap_or_else(|| panic!("no {call} with {part} in\n{log}")) + 1
    }
}

struct Traced {
    child: Child,
    log: PathBuf,
    dir: TempDir,
}

impl Traced {
    /// The outcome and strace's log.
    fn finish(self) -> (Outcome, String) {
        let outcome = finish(self.child).0;
        (outcome, fs::read_to_string(&self.log).unwrap_or_default())
    }

    fn wait_until_stopped(mut self) -> Stopped {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // strace's own word for it: a traced process looks stopped at every call.
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains("--- stopped by SIGSTOP ---") {
                let pid = child_of(self.child.id()).expect("the stopped child");
                return Stopped { traced: self, pid };
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the copy ended ({status}) before it was stopped: {self:?}");
            }
            assert!(Instant::now() < deadline, "the copy was never stopped");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl std::fmt::Debug for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        write!(f, "{} in {}", log, self.dir.path().display())
    }
}

/// A copy that stands still.
pub struct Stopped {
    traced: Traced,
    pid: u32,
}

impl Stopped {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the copy go on to its end.
    pub fn go_on(self) -> Outcome {
        signal(self.pid, "CONT");
        self.traced.finish().0
    }

    /// Kills the copy where it stands.
    pub fn kill(self) -> Outcome {
        signal(self.pid, "KILL");
        self.traced.finish().0
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Waits for a child, and returns its outcome and all of its output.
fn finish(child: Child) -> (Outcome, String) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if let Some(signal) = output.status.signal() {
        return (Outcome::Killed(signal), text);
    }
    let words: Vec<&str> = text.lines().next().unwrap_or("").split(' ').collect();
    let outcome = match words.as_slice() {
        ["ok", method, copied] => Outcome::Ok(method.to_string(), copied.parse().unwrap()),
        ["err", kind, number] => {
            let number = number.parse().unwrap();
            Outcome::Err(kind.to_string(), (number != 0).then_some(number))
        }
        _ => panic!("the child said {text:?} and ended with {}", output.status),
    };
    (outcome, text)
}
