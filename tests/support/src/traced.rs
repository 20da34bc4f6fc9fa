//! Copies in child processes under strace, which makes system calls fail, stops or kills the copy at
//! one, and records all of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::child::FLAG;
use crate::function::Function;
use crate::outcome::Outcome;
use crate::process_group::{ProcessGroup, child_of};
use crate::user_namespace::is_privileged;

/// A copy for a child process to make.
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

    /// Runs the child as a user who is subject to permissions: the given one if this process is root, else the
    /// present one.
    pub fn run_unprivileged(&self, uid: u32) -> Outcome {
        let mut command = Command::new("env");
        self.append_to(&mut command);
        if is_privileged() {
            command.arg(format!("as={uid}"));
        }
        finish(start(&mut command)).0
    }

    /// Runs the child.
    pub fn run(&self) -> Outcome {
        let mut command = Command::new("env");
        self.append_to(&mut command);
        finish(start(&mut command)).0
    }

    /// Runs the child with injections, each as strace's option `-e inject=` takes it.
    pub fn run_injected(&self, injections: &[&str]) -> Outcome {
        let traced = injected(injections);
        self.traced(&traced, injections).finish().0
    }

    /// Runs the child. Also returns its system calls, a line each, from the first that names the source.
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

    /// Runs the child with injections. Also returns the system calls of the copy: from the first that
    /// names the source to the one that prints the outcome.
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

    /// Starts the child, and waits until strace has stopped it at a call (`pread64:when=3`).
    pub fn start_and_stop_at(&self, call: &str, injections: &[&str]) -> Stopped {
        let stop = format!("{call}:signal=SIGSTOP");
        let mut all = vec![stop.as_str()];
        all.extend(injections);
        self.traced(&injected(&all), &all).wait_until_stopped()
    }

    /// Starts the child under strace, which records the calls named in `traced`.
    fn traced(&self, traced: &str, injections: &[&str]) -> Traced {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("strace");
        // The strings must be long enough for the paths that are searched for.
        command.args(["-f", "-qq", "-s", "300", "-o"]).arg(&log);
        command.args(["-e", &format!("trace={traced}")]);
        // With it strace stops the child at the injected calls only. strace 6.1 sends no signals then.
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

    /// Runs the child. Returns how many calls named `call` come before the first that names the source.
    pub fn calls_before(&self, call: &str) -> usize {
        let (_, log) = self.traced("all", &[]).finish();
        let opening = format!(" {call}(");
        let source = self.src.to_str().unwrap();
        log.lines()
            .take_while(|line| line.contains("execve(") || !line.contains(source))
            .filter(|line| line.contains(&opening))
            .count()
    }

    /// Returns the injection that makes `O_TMPFILE` fail, or one without an effect where it fails already: strace does
    /// not see a call that a seccomp filter refuses.
    pub fn without_unnamed_files(&self) -> String {
        let directory = self.dst.parent().unwrap();
        let flags = OFlags::TMPFILE | OFlags::WRONLY;
        match rustix::fs::openat(CWD, directory, flags, Mode::RUSR) {
            Ok(_) => {
                let number = self.number_of("openat", "O_TMPFILE");
                format!("openat:error=EOPNOTSUPP:when={number}")
            }
            Err(_) => "memfd_create:error=ENOSYS".to_owned(),
        }
    }

    /// Runs the child. Returns the number, as `when=` takes it, of the first call named `call` whose
    /// line contains `part`.
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

/// Returns the names of the injected calls, as strace's option `-e trace=` takes them.
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

/// Calls for memory and threads, which are no part of a copy.
const FOR_MEMORY_AND_THREADS: [&str; 18] = [
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "brk",
    "futex",
    "sched_yield",
    "sched_getaffinity",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "sigaltstack",
    "set_robust_list",
    "rseq",
    "gettid",
    "prctl",
    "exit",
];

/// The calls that two threads of a copy share: each makes an unknown part of them.
const SHARED_BY_THREADS: [&str; 6] = [
    "lseek",
    "ioctl",
    "pread64",
    "pwrite64",
    "fadvise64",
    "sync_file_range",
];

/// A system call of a copy.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: String,
    pub name: String,
    /// Its number among the calls of its thread with this name since the start of the program, as
    /// `when=` takes it.
    pub number: usize,
    /// The line of the log. It ends before the result if a call of another thread came between.
    pub line: String,
}

impl Call {
    /// Whether it is for memory or threads, and no part of the copy.
    pub fn is_for_memory_or_threads(&self) -> bool {
        FOR_MEMORY_AND_THREADS.contains(&self.name.as_str())
    }

    /// Whether two threads of a copy share calls of this name.
    pub fn is_shared_by_threads(&self) -> bool {
        SHARED_BY_THREADS.contains(&self.name.as_str())
    }

    /// Returns its result if that is a number of bytes, else 0.
    pub fn bytes(&self) -> u64 {
        let result = self.line.rsplit("= ").next();
        result.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

struct Traced {
    /// The group of strace and the child.
    strace: ProcessGroup,
    log: PathBuf,
    dir: TempDir,
}

impl Traced {
    /// Waits for the end. Returns the outcome and strace's log.
    fn finish(self) -> (Outcome, String) {
        let outcome = finish(self.strace).0;
        (outcome, fs::read_to_string(&self.log).unwrap_or_default())
    }

    fn wait_until_stopped(self) -> Stopped {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // A traced process is in a stopped state at every call, so the log has to tell.
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

/// A copy stopped by SIGSTOP.
pub struct Stopped {
    traced: Traced,
    pid: u32,
}

impl Stopped {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Continues the copy until it ends, also if the same call of another thread stops it again.
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

    /// Kills the stopped copy.
    pub fn kill(self) -> Outcome {
        signal(self.pid, Signal::KILL);
        self.traced.finish().0
    }
}

/// Sends a signal. A process that has ended is no error.
fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match kill_process(pid.expect("a process"), signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => panic!("kill: {error}"),
    }
}

/// The time limit of a child. One that takes longer is killed and fails its test.
const LIMIT: Duration = Duration::from_secs(600);

fn start(command: &mut Command) -> ProcessGroup {
    ProcessGroup::spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a child. Returns its outcome and its output.
#[track_caller]
fn finish(child: ProcessGroup) -> (Outcome, String) {
    let output = child.output_within(LIMIT);
    let output = output.unwrap_or_else(|| panic!("the copy has not ended within {LIMIT:?}"));
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
        _ => panic!(
            "the child printed {text:?} and ended with {}",
            output.status
        ),
    };
    (outcome, text)
}
