//! Copies by a child, under strace: to make a system call fail, to stop the copy at one, to kill it
//! there, or to read which calls it made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::child::FLAG;
use crate::function::Function;
use crate::outcome::Outcome;
use crate::process_group::{ProcessGroup, child_of};

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
        finish(start(&mut command)).0
    }

    /// Runs the child.
    pub fn run(&self) -> Outcome {
        let mut command = Command::new("env");
        self.append_to(&mut command);
        finish(start(&mut command)).0
    }

    /// Runs the child with system calls tampered with, each as strace's `-e inject=` takes it.
    pub fn run_injected(&self, injections: &[&str]) -> Outcome {
        let traced = injected(injections);
        self.traced(&traced, injections).finish().0
    }

    /// Runs the child and returns the system calls that it made from its first touch of the source
    /// on, a line each.
    pub fn trace(&self) -> (Outcome, Vec<String>) {
        self.trace_injected(&[])
    }

    pub fn trace_injected(&self, injections: &[&str]) -> (Outcome, Vec<String>) {
        let (outcome, log) = self.traced("all", injections).finish();
        let path = self.src.to_str().unwrap();
        let calls = log
            .lines()
            .skip_while(|line| line.contains("execve(") || !line.contains(path))
            .map(|line| line.to_owned())
            .collect();
        (outcome, calls)
    }

    /// The calls of the copy itself, between those that start the child and its last word.
    pub fn calls(&self, injections: &[&str]) -> (Outcome, Vec<Call>) {
        let (outcome, log) = self.traced("all", injections).finish();
        let path = self.src.to_str().unwrap();
        let mut made = BTreeMap::new();
        let mut begun = false;
        let mut calls = Vec::new();
        for line in log.lines() {
            let Some((thread, line)) = line.split_once(' ') else {
                continue;
            };
            let line = line.trim_start();
            let Some((name, _)) = line.split_once('(').filter(|_| !line.starts_with('<')) else {
                continue;
            };
            let number = made.entry((thread, name)).or_insert(0);
            *number += 1;
            begun |= name != "execve" && line.contains(path);
            if name == "write" && begun {
                break;
            }
            if begun {
                calls.push(Call {
                    thread: thread.to_owned(),
                    name: name.to_owned(),
                    number: *number,
                    line: line.to_owned(),
                });
            }
        }
        (outcome, calls)
    }

    /// Starts the child, to be stopped when it has made the given call (`pread64:when=3`).
    pub fn start_and_stop_at(&self, call: &str, injections: &[&str]) -> Stopped {
        let stop = format!("{call}:signal=SIGSTOP");
        let mut all = vec![stop.as_str()];
        all.extend(injections);
        self.traced(&injected(&all), &all).wait_until_stopped()
    }

    /// Under strace, which logs the calls to be `traced`.
    fn traced(&self, traced: &str, injections: &[&str]) -> Traced {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("strace");
        // Long strings: paths are looked for in the log.
        command.args(["-f", "-qq", "-s", "300", "-o"]).arg(&log);
        command.args(["-e", &format!("trace={traced}")]);
        // Nor does it stop the child at any other then. But so strace 6.1 sends no signals.
        let sends = injections.iter().any(|one| one.contains("signal="));
        if !sends && traced != "all" {
            command.arg("--seccomp-bpf");
        }
        for injection in injections {
            command.args(["-e", &format!("inject={injection}")]);
        }
        self.append_to(&mut command);
        let strace = start(&mut command);
        Traced { strace, log, dir }
    }

    /// How many calls named `call` the child makes before it touches the source.
    pub fn calls_before(&self, call: &str) -> usize {
        let (_, log) = self.traced("all", &[]).finish();
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
        let (_, log) = self.traced("all", &[]).finish();
        let _ = fs::remove_file(self.dst);
        let number = log
            .lines()
            .filter(|line| line.contains(&format!(" {call}(")))
            .position(|line| line.contains(part));
        number.unwrap_or_else(|| panic!("no {call} with {part} in\n{log}")) + 1
    }
}

/// The names of the calls that are tampered with, as strace's `-e trace=` takes them.
fn injected(injections: &[&str]) -> String {
    if injections.is_empty() {
        return "all".to_owned();
    }
    let names = injections.iter().map(|injection| {
        let (name, _) = injection.split_once(':').expect("CALL:WHAT");
        name
    });
    names.collect::<Vec<_>>().join(",")
}

/// A system call that a copy made.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: String,
    pub name: String,
    /// Which of its thread's calls of this name it is, from the start of the program on: for
    /// `when=`.
    pub number: usize,
    /// All of it, with its result if no other thread's call came between.
    pub line: String,
}

impl Call {
    /// What it returned, if that was a number of bytes.
    pub fn bytes(&self) -> u64 {
        let result = self.line.rsplit("= ").next();
        result.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

struct Traced {
    /// With the copy, which it traces.
    strace: ProcessGroup,
    log: PathBuf,
    dir: TempDir,
}

impl Traced {
    /// The outcome and strace's log.
    fn finish(self) -> (Outcome, String) {
        let outcome = finish(self.strace).0;
        (outcome, fs::read_to_string(&self.log).unwrap_or_default())
    }

    fn wait_until_stopped(self) -> Stopped {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // strace's own word for it: a traced process looks stopped at every call.
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains("--- stopped by SIGSTOP ---") {
                let pid = child_of(self.strace.id()).expect("the stopped child");
                return Stopped { traced: self, pid };
            }
            if self.strace.ends_within(Duration::from_millis(1)) {
                panic!("the copy ended before it was stopped: {self:?}");
            }
            assert!(Instant::now() < deadline, "the copy was never stopped");
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

    /// Lets the copy go on to its end, past the same call of another thread too.
    pub fn go_on(self) -> Outcome {
        let deadline = Instant::now() + Duration::from_secs(60);
        while child_of(self.traced.strace.id()) == Some(self.pid) {
            signal(self.pid, Signal::CONT);
            if self.traced.strace.ends_within(Duration::from_millis(2)) {
                break;
            }
            assert!(Instant::now() < deadline, "the copy never ended");
        }
        self.traced.finish().0
    }

    /// Kills the copy where it stands.
    pub fn kill(self) -> Outcome {
        signal(self.pid, Signal::KILL);
        self.traced.finish().0
    }
}

/// Sends a signal, unless the process has just ended.
fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match kill_process(pid.expect("a process"), signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => panic!("kill: {error}"),
    }
}

/// How long a child may take. One that hangs fails its test then.
const PATIENCE: Duration = Duration::from_secs(600);

fn start(command: &mut Command) -> ProcessGroup {
    ProcessGroup::spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a child, and returns its outcome and all of its output.
#[track_caller]
fn finish(child: ProcessGroup) -> (Outcome, String) {
    let output = child.output_within(PATIENCE);
    let output = output.unwrap_or_else(|| panic!("the copy hasn't ended within {PATIENCE:?}"));
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
