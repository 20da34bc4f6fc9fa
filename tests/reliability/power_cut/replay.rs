//! The states of a disk that a power cut can leave, made from a log.
//!
//! What was written before a completed flush is on the disk. Of the writes since then any subset can be there, in
//! blocks of 4 KiB.

use std::fmt;
use std::ops::Range;

use fastrand::Rng;

use super::contents::{BLOCK, Contents};
use super::log::Entry;

/// A state of a disk.
pub struct State {
    pub name: Name,
    /// How many entries come up to the last completed flush.
    pub flushed: usize,
    pub contents: Contents,
}

/// How a state was made. Numbers are those of entries in the log.
#[derive(Clone, Debug)]
pub enum Name {
    /// All writes after the flush are lost.
    Flushed,
    /// One write is lost, the others up to the next flush are there.
    Lost(usize),
    /// The writes from this one on are lost.
    LostFrom(usize),
    /// A random subset of the writes is lost.
    Subset(u64),
    /// A random subset of the blocks of all writes is lost.
    Torn(u64),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flushed => write!(f, "all later writes lost"),
            Self::Lost(entry) => write!(f, "entry {entry} lost"),
            Self::LostFrom(entry) => write!(f, "entries from {entry} on lost"),
            Self::Subset(seed) => write!(f, "writes of seed {seed} lost"),
            Self::Torn(seed) => write!(f, "blocks of seed {seed} lost"),
        }
    }
}

/// How many states are made of the writes between two flushes.
pub struct Thoroughness {
    /// Whether the states in which the writes from one on are lost are made too.
    pub prefixes: bool,
    /// How many random subsets of writes, and of blocks, are lost.
    pub random: u64,
}

/// Calls `check` with each state that a power cut can leave from the entry `from` on. All entries before it are
/// applied to `contents` first, and must be on the disk.
pub fn states(
    mut contents: Contents,
    entries: &[Entry],
    from: usize,
    thoroughness: &Thoroughness,
    mut check: impl FnMut(State),
) {
    for entry in &entries[..from] {
        contents.apply(entry);
    }
    let mut flushed = from;
    while flushed < entries.len() {
        let next = entries[flushed..]
            .iter()
            .position(|entry| *entry == Entry::Flush)
            .map_or(entries.len(), |writes| flushed + writes);
        let interval = Interval {
            entries,
            contents: &contents,
            writes: flushed..next,
        };
        for name in interval.names(thoroughness) {
            check(State {
                contents: interval.state(&name),
                name,
                flushed,
            });
        }
        for entry in &entries[flushed..next] {
            contents.apply(entry);
        }
        // After the flush.
        flushed = next + 1;
    }
    check(State {
        name: Name::Flushed,
        flushed: entries.len(),
        contents,
    });
}

/// The writes between two flushes.
struct Interval<'a> {
    entries: &'a [Entry],
    contents: &'a Contents,
    writes: Range<usize>,
}

impl Interval<'_> {
    fn names(&self, thoroughness: &Thoroughness) -> Vec<Name> {
        let mut names = vec![Name::Flushed];
        let volatile: Vec<usize> = self
            .writes
            .clone()
            .filter(|&i| !self.is_durable(i))
            .collect();
        // With fewer, these are the same as the one above.
        if volatile.len() < 2 {
            return names;
        }
        names.extend(volatile.iter().map(|&i| Name::Lost(i)));
        if thoroughness.prefixes {
            // The last one is lost alone already.
            let last = volatile.len() - 1;
            names.extend(volatile[1..last].iter().map(|&i| Name::LostFrom(i)));
        }
        let seeds = (0..thoroughness.random).map(|seed| seed + ((self.writes.start as u64) << 8));
        names.extend(seeds.clone().map(Name::Subset));
        names.extend(seeds.map(Name::Torn));
        names
    }

    fn state(&self, name: &Name) -> Contents {
        let mut random = match name {
            Name::Subset(seed) | Name::Torn(seed) => Rng::with_seed(*seed),
            _ => Rng::with_seed(0),
        };
        let mut contents = self.contents.clone();
        for i in self.writes.clone() {
            let is_kept = self.is_durable(i)
                || match name {
                    Name::Flushed => false,
                    Name::Lost(lost) => i != *lost,
                    Name::LostFrom(first) => i < *first,
                    Name::Subset(_) => random.bool(),
                    Name::Torn(_) => {
                        self.apply_some_blocks(i, &mut contents, &mut random);
                        false
                    }
                };
            if is_kept {
                contents.apply(&self.entries[i]);
            }
        }
        contents
    }

    fn is_durable(&self, i: usize) -> bool {
        matches!(self.entries[i], Entry::Write { durable: true, .. })
    }

    fn apply_some_blocks(&self, i: usize, contents: &mut Contents, random: &mut Rng) {
        let Entry::Write { at, bytes, .. } = &self.entries[i] else {
            return;
        };
        let mut done = 0;
        while done < bytes.len() {
            let within = (*at + done as u64) % BLOCK;
            let length = (bytes.len() - done).min((BLOCK - within) as usize);
            if random.bool() {
                contents.write(*at + done as u64, &bytes[done..done + length]);
            }
            done += length;
        }
    }
}
