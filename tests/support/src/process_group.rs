//! A child process that is killed, with all processes that it has started, when it goes out of scope.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open,
    test_kill_process_group, wait, waitpgid,
};

/// How long a killed process may take to end: one that waits for a disk isn't interrupted.
const KILL_LIMIT: Duration = Duration::from_secs(60);

/// A program that leads a process group. The rest of the group is killed and reaped when the program
/// has ended, and all of it when this is dropped.
#[derive(Debug)]
pub struct ProcessGroup {
    leader: Child,
    /// `None` once it is reaped.
    group: Option<Pid>,
}

impl ProcessGroup {
    /// Starts a program as the leader of a new process group.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let leader = command.process_group(0).spawn()?;
        let group = Some(Pid::from_child(&leader));
        Ok(Self { leader, group })
    }

    /// Returns the process ID of the leader.
    pub fn id(&self) -> u32 {
        self.leader.id()
    }

    /// Takes the pipe that the program prints to, if it has one.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.leader.stdout.take()
    }

    /// Waits until the program ends, at most for `time`. Returns whether it has ended.
    pub fn ends_within(&self, time: Duration) -> bool {
        let Some(group) = self.group else {
            return true;
        };
        // The leader isn't reaped yet, so no other process has its ID.
        let leader = pidfd_open(group, PidfdFlags::empty()).expect("the leader of a process group");
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a time that a kernel can wait for");
            let mut ended = [PollFd::new(&leader, PollFlags::IN)];
            match poll(&mut ended, Some(&left)) {
                Ok(events) => return events > 0,
                Err(Errno::INTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }

    /// Waits until the program ends, at most for `time`, and returns its output. If it hasn't ended then,
    /// kills it and returns `None`.
    pub fn output_within(mut self, time: Duration) -> Option<Output> {
        if !self.ends_within(time) {
            return None;
        }
        let status = self.end()?;
        Some(Output {
            status,
            stdout: all_of(self.leader.stdout.take()),
            stderr: all_of(self.leader.stderr.take()),
        })
    }

    /// Kills and reaps the group. Returns the status of the leader.
    ///
    /// Orphans of the group become children of this process, which can reap them ([`crate::namespace`]).
    fn end(&mut self) -> Option<ExitStatus> {
        let group = self.group.take()?;
        // The leader isn't reaped yet, so no other group has this ID.
        let _ = kill_process_group(group, Signal::KILL);
        let deadline = Instant::now() + KILL_LIMIT;
        let mut leaders_status = None;
        loop {
            while let Ok(Some((process, status))) = waitpgid(group, WaitOptions::NOHANG) {
                if process == group {
                    leaders_status = Some(ExitStatus::from_raw(status.as_raw()));
                }
            }
            if test_kill_process_group(group).is_err() {
                return leaders_status;
            }
            if Instant::now() > deadline {
                eprintln!("Process group {group:?} still exists {KILL_LIMIT:?} after SIGKILL.");
                return leaders_status;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the process ID of the first child of a process.
pub fn child_of(pid: u32) -> Option<u32> {
    children_of(pid).first().copied()
}

fn children_of(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let numbers = children.split_whitespace();
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// Kills and reaps all children of this process, which must have one thread, until there are none. If it is a
/// subreaper (`PR_SET_CHILD_SUBREAPER`), the children of a killed child become its own.
pub fn kill_descendants() {
    let deadline = Instant::now() + KILL_LIMIT;
    loop {
        for child in children_of(std::process::id()) {
            let child = i32::try_from(child).ok().and_then(Pid::from_raw);
            // It isn't reaped yet, so no other process has its ID.
            let _ = kill_process(child.expect("a process"), Signal::KILL);
        }
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Ok(None) => return eprintln!("Processes still exist {KILL_LIMIT:?} after SIGKILL."),
            Err(_) => return,
        }
    }
}

fn all_of(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).expect("a program's output");
    }
    bytes
}
