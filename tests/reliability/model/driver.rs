//! Sends the operations to the guest, does those of the host, and compares each result with the model.

use std::path::{Path, PathBuf};
use std::vec;

use wasmtime_fast_copy::{CopyQuota, CopySlots};

use super::copies::{self, Before};
use super::operation::Operation;
use super::pattern;
use super::state::{Entry, File, State};
use super::{host, inspect, verify};

/// How many operations there are between two comparisons of everything.
const BETWEEN_COMPARISONS: usize = 64;

/// What was tried, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub operations: u64,
    pub copies: u64,
    pub clones: u64,
    pub jobs: u64,
    pub cancelled: u64,
    pub errors: u64,
}

/// An operation whose result was not as predicted.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How many operations were begun.
    pub begun: usize,
    pub operation: String,
    pub reason: String,
}

/// Where the operations are done.
pub struct Place {
    pub root: PathBuf,
    pub kind: String,
    pub reflinks: bool,
    pub quota: CopyQuota,
    pub slots: CopySlots,
}

pub struct Driver {
    pub place: Place,
    pub counts: Counts,
    pub failure: Option<Failure>,
    state: State,
    operations: vec::IntoIter<Operation>,
    begun: usize,
    current: Option<Operation>,
    pending: Option<Pending>,
}

/// An operation that the guest does.
enum Pending {
    /// An operation of `wasi:filesystem`. It should be answered so.
    Files(&'static str, Option<String>),
    Inspect(inspect::Question),
    Copies(Before),
    /// Copies of which one was dropped. Its work may go on.
    Stopping(Before, String),
}

impl Driver {
    pub fn new(place: Place, operations: Vec<Operation>) -> Self {
        Self {
            place,
            counts: Counts::default(),
            failure: None,
            state: State::new(),
            operations: operations.into_iter(),
            begun: 0,
            current: None,
            pending: None,
        }
    }

    /// Takes the guest's answer to the last line, and returns the next one.
    pub fn exchange(&mut self, answer: &str) -> String {
        match self.advance(answer) {
            Ok(line) => line,
            Err(reason) => {
                self.fail(reason);
                "end".to_owned()
            }
        }
    }

    /// Records that the current operation has failed.
    pub fn fail(&mut self, reason: String) {
        let operation = self.current.as_ref().map(|operation| operation.to_string());
        self.failure.get_or_insert(Failure {
            begun: self.begun,
            operation: operation.unwrap_or_default(),
            reason,
        });
    }

    fn advance(&mut self, answer: &str) -> Result<String, String> {
        if let Some(pending) = self.pending.take()
            && let Some(line) = self.finish(pending, answer)?
        {
            return Ok(line);
        }
        while let Some(operation) = self.operations.next() {
            self.begun += 1;
            self.current = Some(operation.clone());
            if let Some(line) = self.begin(operation)? {
                self.counts.operations += 1;
                return Ok(line);
            }
        }
        verify::everything(&self.place.root, &self.state)?;
        Ok("end".to_owned())
    }

    /// Begins an operation. Returns the line for the guest, if the guest does it.
    fn begin(&mut self, operation: Operation) -> Result<Option<String>, String> {
        if self.begun.is_multiple_of(BETWEEN_COMPARISONS) {
            verify::everything(&self.place.root, &self.state)?;
        }
        let line = operation.to_string();
        let pending = match operation {
            Operation::Copy(copies) => match copies::begin(&self.state, &self.place, copies) {
                Some(before) => Pending::Copies(before),
                None => return Ok(None),
            },
            Operation::DiskUsage { .. }
            | Operation::SummarizeExtents { .. }
            | Operation::DataRanges { .. }
            | Operation::CanReflink => {
                Pending::Inspect(inspect::begin(&self.state, &self.place, operation))
            }
            Operation::Wait => Pending::Files("ok", None),
            Operation::Write { .. }
            | Operation::Resize { .. }
            | Operation::Read { .. }
            | Operation::Remove { .. }
            | Operation::Rename { .. }
            | Operation::Link { .. }
            | Operation::Symlink { .. } => match self.files(operation) {
                Some((answer, name)) => Pending::Files(answer, name),
                None => return Ok(None),
            },
            operation => {
                let done = host::run(&self.place.root, &mut self.state, operation)
                    .map_err(|error| format!("the host: {error}"))?;
                if let Some(name) = done {
                    self.counts.operations += 1;
                    verify::name(&self.place.root, &self.state, &name)?;
                }
                return Ok(None);
            }
        };
        self.pending = Some(pending);
        Ok(Some(line))
    }

    /// Compares an answer with the model. Returns a line for the guest if the operation has not ended.
    fn finish(&mut self, pending: Pending, answer: &str) -> Result<Option<String>, String> {
        let root: &Path = &self.place.root;
        match pending {
            Pending::Files(expected, name) => {
                if answer.split(' ').next() != Some(expected) {
                    return Err(format!("the answer is {answer:?}, expected {expected}"));
                }
                match (name, self.current.as_ref()) {
                    (Some(name), Some(Operation::Read { offset, length, .. }))
                        if expected == "ok" =>
                    {
                        let file = self
                            .state
                            .file_named(&name)
                            .expect("the file that was read");
                        let part = |at: u64| at.min(file.size()) as usize;
                        let bytes = &file.bytes[part(*offset)..part(offset + length)];
                        let expected = format!("ok {} {}", bytes.len(), pattern::hash(bytes));
                        if answer != expected {
                            return Err(format!(
                                "the guest read {answer:?}, expected {expected:?}"
                            ));
                        }
                    }
                    (Some(name), _) => verify::name(root, &self.state, &name)?,
                    (None, _) => {}
                }
            }
            Pending::Inspect(question) => question.check(&self.state, &self.place, answer)?,
            Pending::Copies(before) => return self.stop(before, answer.to_owned()),
            Pending::Stopping(before, answer) => return self.stop(before, answer),
        }
        Ok(None)
    }

    /// Waits until the work of cancelled copies has stopped, then compares the results of the copies.
    fn stop(&mut self, before: Before, answer: String) -> Result<Option<String>, String> {
        let Place { slots, .. } = &self.place;
        if before.may_go_on() && slots.free() < slots.total() {
            self.pending = Some(Pending::Stopping(before, answer));
            return Ok(Some(Operation::Wait.to_string()));
        }
        before.finish(&mut self.state, &self.place, &mut self.counts, &answer)?;
        Ok(None)
    }

    /// Does an operation of `wasi:filesystem` in the model. Returns how the guest should answer, and the name to
    /// compare. Returns none for one that the model does not know, such as a write to a symbolic link.
    fn files(&mut self, operation: Operation) -> Option<(&'static str, Option<String>)> {
        let state = &mut self.state;
        match operation {
            Operation::Write {
                name,
                offset,
                length,
                seed,
            } => {
                match state.entry(&name) {
                    Some(Entry::File(_)) => {}
                    Some(_) => return None,
                    None => {
                        // The umask of this process has been taken from 0666.
                        state.put(&name, File::new(0o666 & !host::umask(), &self.place.kind));
                    }
                }
                let file = state.file_named_mut(&name)?;
                file.write(offset, &pattern::bytes(seed, length));
                Some(("ok", Some(name)))
            }
            Operation::Resize { name, size } => match state.entry(&name) {
                Some(Entry::File(_)) => {
                    state.file_named_mut(&name)?.resize(size);
                    Some(("ok", Some(name)))
                }
                Some(_) => None,
                None => Some(("err", Some(name))),
            },
            Operation::Read { name, .. } => match state.entry(&name) {
                Some(Entry::File(_)) => Some(("ok", Some(name))),
                Some(_) => None,
                None => Some(("err", Some(name))),
            },
            Operation::Remove { name } => match state.entry(&name) {
                Some(Entry::Directory) => None,
                Some(_) => {
                    state.remove(&name);
                    Some(("ok", Some(name)))
                }
                None => Some(("err", Some(name))),
            },
            Operation::Rename { from, to } => match (state.entry(&from), state.entry(&to)) {
                (Some(Entry::Directory), _) | (_, Some(Entry::Directory)) => None,
                (None, _) => Some(("err", Some(to))),
                _ => {
                    state.rename(&from, &to);
                    Some(("ok", Some(to)))
                }
            },
            Operation::Link { from, to } => match (state.entry(&from), state.entry(&to)) {
                (None, _) => Some(("err", Some(to))),
                (Some(Entry::File(_)), Some(_)) => Some(("err", Some(to))),
                (Some(entry @ Entry::File(_)), None) => {
                    let entry = entry.clone();
                    state.names.insert(to.clone(), entry);
                    Some(("ok", Some(to)))
                }
                (Some(_), _) => None,
            },
            Operation::Symlink { target, name } => match state.entry(&name) {
                // wasmtime refuses an absolute target.
                None if !target.starts_with('/') => {
                    state.names.insert(name.clone(), Entry::Symlink(target));
                    Some(("ok", Some(name)))
                }
                _ => Some(("err", Some(name))),
            },
            other => unreachable!("{other} is not an operation of wasi:filesystem"),
        }
    }
}
