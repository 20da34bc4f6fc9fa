//! The operations of a writer with their times, and which of them a copy contains.
//!
//! A copy is right if there is one moment during the call at which the source had this content. A writer's
//! operation takes effect at an unknown moment between its beginning and its end. So a copy that contains the
//! first `k` operations of a writer was taken between the beginning of operation `k` and the end of the next one.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Instant;

use super::states::{Block, Operation, State};
use super::writer::Kind;

#[derive(Clone, Debug)]
pub struct Entry {
    pub operation: Operation,
    pub begun: Instant,
    pub ended: Option<Instant>,
    /// For a store through a mapping, a moment at which the page was clean again.
    pub synchronised: Option<Instant>,
}

/// The operations of one writer, in order.
#[derive(Default)]
pub struct Log(Mutex<Vec<Entry>>);

impl Log {
    /// Records that an operation begins. Returns its index.
    pub fn begin(&self, operation: Operation) -> usize {
        let mut entries = self.0.lock().unwrap();
        entries.push(Entry {
            operation,
            begun: Instant::now(),
            ended: None,
            synchronised: None,
        });
        entries.len() - 1
    }

    pub fn end(&self, index: usize) {
        self.0.lock().unwrap()[index].ended = Some(Instant::now());
    }

    /// Records that the pages of all operations are clean.
    pub fn synchronised(&self) {
        for entry in self.0.lock().unwrap().iter_mut().rev() {
            if entry.synchronised.is_some() {
                break;
            }
            entry.synchronised = Some(Instant::now());
        }
    }

    fn entries(&self, from: usize) -> Vec<Entry> {
        self.0.lock().unwrap()[from..].to_vec()
    }
}

/// The moments of a call: when it began, when the source was open, and when it ended.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub begun: Instant,
    pub opened: Instant,
    pub ended: Instant,
}

/// The moments at which the source had the content that a copy has, as far as one writer is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    earliest: Instant,
    latest: Instant,
}

/// What a copy contains of one writer.
#[derive(Debug)]
pub enum Content {
    /// One state of the source.
    State(Vec<Window>),
    /// It is no state of the source, but only because of operations of an exception that the contract documents.
    Exception,
    /// It is neither.
    Wrong(String),
}

/// Follows the operations of one writer from copy to copy.
pub struct Follower<'a> {
    log: &'a Log,
    /// The blocks that the writer changes. The last part of the file may grow and shrink.
    region: Range<usize>,
    /// How many operations had ended before the last copy that was examined began.
    applied: usize,
    /// The writer's part of the source after these.
    state: State,
    kind: Kind,
}

impl<'a> Follower<'a> {
    pub fn new(log: &'a Log, region: Range<usize>, state: State, kind: Kind) -> Self {
        Self {
            log,
            region,
            applied: 0,
            state,
            kind,
        }
    }

    /// Examines the writer's part of a copy. `part` is none for a copy that was not made. Returns how many
    /// operations were in progress during the call, and what the copy contains.
    pub fn examine(&mut self, part: Option<&[Block]>, call: &Call) -> (usize, Content) {
        let entries = self.log.entries(self.applied);
        let before = entries
            .iter()
            .take_while(|entry| entry.ended.is_some_and(|ended| ended < call.begun))
            .count();
        for entry in &entries[..before] {
            self.relative(&entry.operation).apply(&mut self.state);
        }
        self.applied += before;
        let during: Vec<_> = entries[before..]
            .iter()
            .take_while(|entry| entry.begun < call.ended)
            .collect();
        let Some(part) = part else {
            return (during.len(), Content::State(Vec::new()));
        };
        let mut windows = Vec::new();
        let mut state = self.state.clone();
        let mut held = vec![state.clone()];
        for contained in 0..=during.len() {
            if contained > 0 {
                self.relative(&during[contained - 1].operation)
                    .apply(&mut state);
                held.push(state.clone());
            }
            if state == part {
                let previous = contained.checked_sub(1).map(|last| during[last].begun);
                let next = during.get(contained).and_then(|next| next.ended);
                windows.push(Window {
                    earliest: previous.unwrap_or(call.begun).max(call.begun),
                    latest: next.unwrap_or(call.ended).min(call.ended),
                });
            }
        }
        let content = match windows.is_empty() {
            false => Content::State(windows),
            true if self.is_exception(part, &held, call) => Content::Exception,
            true => Content::Wrong(self.explain(part, &during)),
        };
        (during.len(), content)
    }

    /// Whether all blocks but those of excepted operations are as in one state, and these hold what they held at
    /// some moment of the call.
    fn is_exception(&self, part: &[Block], held: &[State], call: &Call) -> bool {
        let excepted = self.excepted_blocks(call);
        let was_held = |block: usize| held.iter().any(|state| state[block] == part[block]);
        let fits = |state: &State| {
            let fits =
                |block| state[block] == part[block] || excepted.contains(&block) && was_held(block);
            (0..part.len()).all(fits)
        };
        // Operations that are excepted leave the size as it is.
        !excepted.is_empty() && part.len() == self.state.len() && held.iter().any(fits)
    }

    /// Returns the blocks, relative to the region, of excepted operations.
    fn excepted_blocks(&self, call: &Call) -> Vec<usize> {
        let mut blocks = Vec::new();
        for operation in self.kind.excepted(&self.log.entries(0), call) {
            match self.relative(&operation) {
                Operation::Store { block, .. } => blocks.push(block),
                Operation::Write { blocks: range, .. } => blocks.extend(range),
                _ => {}
            }
        }
        blocks
    }

    /// Returns an operation with blocks relative to the region.
    fn relative(&self, operation: &Operation) -> Operation {
        let start = self.region.start;
        match operation.clone() {
            Operation::Write { blocks, stamp } => Operation::Write {
                blocks: blocks.start - start..blocks.end - start,
                stamp,
            },
            Operation::Store { block, stamp } => Operation::Store {
                block: block - start,
                stamp,
            },
            Operation::Clear { block } => Operation::Clear {
                block: block - start,
            },
            // These move all blocks, so their writer has the whole file.
            other => other,
        }
    }

    /// Describes a copy that is no state of the source: what some of its blocks hold, and what they held.
    fn explain(&self, part: &[Block], during: &[&Entry]) -> String {
        let mut state = self.state.clone();
        let mut held = vec![state.clone()];
        for entry in during {
            self.relative(&entry.operation).apply(&mut state);
            held.push(state.clone());
        }
        let differs = |block: &usize| part.get(*block) != self.state.get(*block);
        let of = |state: &[Block], block: usize| state.get(block).map(|block| block.first);
        let differences = (0..part.len().max(self.state.len())).filter(differs);
        let differences = differences.take(8).map(|block| {
            let mut values: Vec<_> = held.iter().map(|state| of(state, block)).collect();
            values.dedup();
            format!("block {block} holds {:x?} of {values:x?}", of(part, block))
        });
        let operations: Vec<_> = during
            .iter()
            .take(8)
            .map(|entry| &entry.operation)
            .collect();
        format!(
            "{} operations from number {} on were in progress: {operations:x?}; {}",
            during.len(),
            self.applied,
            differences.collect::<Vec<_>>().join("; ")
        )
    }
}

/// Returns whether one moment lies in a window of each writer.
pub fn have_a_moment_in_common(writers: &[Vec<Window>]) -> bool {
    let moments = writers.iter().flatten().map(|window| window.earliest);
    moments.into_iter().any(|moment| {
        let contains = |window: &Window| window.earliest <= moment && moment <= window.latest;
        writers.iter().all(|windows| windows.iter().any(contains))
    })
}
