//! The target `fiemap`: any answers of the kernel to `FIEMAP`.
//!
//! - Answers that a file system could give: what the engine finds out is what the file has. No hole and no
//!   preallocated block hides data that was written.
//! - Any other answers: nothing panics, and every walk ends. The range of each answer goes on.

#[path = "../../engine/src/platform/linux/fiemap.rs"]
#[allow(dead_code, unused_imports, reason = "its unit tests, which run there")]
mod engine;

use std::cell::Cell;

use arbitrary::{Arbitrary, Result, Unstructured};
use engine::{BlockMap, Request, WrittenMap};

const SYNC: u32 = 0x1;
const LAST: u32 = 0x1;
const DELALLOC: u32 = 0x4;
const UNWRITTEN: u32 = 0x800;
const SHARED: u32 = 0x2000;
/// Flags with which data is not known to be written: `UNKNOWN`, `DELALLOC`, `ENCODED`, `UNWRITTEN`.
const NOT_KNOWN_WRITTEN: u32 = 0x2 | DELALLOC | 0x8 | UNWRITTEN;

const BLOCK: u64 = 4096;

/// The largest number of extents of a file: some answers of the kernel.
const MOST: usize = 600;

enum Input {
    Possible(Layout),
    Arbitrary(Answers),
}

/// Runs the target.
pub fn run(data: &[u8]) {
    match Unstructured::new(data).arbitrary() {
        Ok(Input::Possible(layout)) => check_possible(&layout),
        Ok(Input::Arbitrary(answers)) => check_arbitrary(&answers),
        Err(_) => {}
    }
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.arbitrary()? {
            true => Self::Possible(u.arbitrary()?),
            false => Self::Arbitrary(u.arbitrary()?),
        })
    }
}

/// How a file is laid out, as a list of runs of equal extents.
struct Layout {
    runs: Vec<Run>,
    /// Whether the first extent of an answer begins where the request begins, as on some file systems.
    trims: bool,
    /// Whether the last extent is marked.
    marks_last: bool,
    queries: Vec<u32>,
    limit: u16,
}

struct Run {
    extents: u8,
    gap: u8,
    blocks: u8,
    kind: Kind,
}

impl<'a> Arbitrary<'a> for Layout {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            trims: u.arbitrary()?,
            marks_last: u.arbitrary()?,
            limit: u.arbitrary()?,
            queries: u.arbitrary()?,
            runs: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Run {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            extents: u.arbitrary()?,
            gap: u.arbitrary()?,
            blocks: u.arbitrary()?,
            kind: u.arbitrary()?,
        })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Written,
    Shared,
    Unwritten,
    /// Preallocated, and written to the page cache only.
    Dirty,
    Delayed,
    Encoded,
}

impl<'a> Arbitrary<'a> for Kind {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        use Kind::*;
        u.choose(&[Written, Shared, Unwritten, Dirty, Delayed, Encoded])
            .copied()
    }
}

impl Kind {
    /// Returns the flags of an extent, before or after its dirty pages are written to the disk.
    fn flags(self, synced: bool) -> u32 {
        match (self, synced) {
            (Self::Written, _) => 0,
            (Self::Shared, _) => SHARED,
            (Self::Unwritten, _) | (Self::Dirty, false) => UNWRITTEN,
            (Self::Delayed, false) => DELALLOC | 0x2,
            (Self::Dirty | Self::Delayed, true) => 0,
            (Self::Encoded, _) => 0x8,
        }
    }
}

#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    end: u64,
    kind: Kind,
}

/// A file whose block map is known.
struct Known<'a> {
    extents: Vec<Extent>,
    layout: &'a Layout,
    synced: Cell<bool>,
}

impl<'a> Known<'a> {
    fn new(layout: &'a Layout) -> Self {
        let mut extents = Vec::new();
        let mut at = 0;
        for run in &layout.runs {
            for _ in 0..run.extents {
                if extents.len() == MOST {
                    break;
                }
                let start = at + u64::from(run.gap) * BLOCK;
                at = start + (u64::from(run.blocks) + 1) * BLOCK;
                extents.push(Extent {
                    start,
                    end: at,
                    kind: run.kind,
                });
            }
        }
        Self {
            extents,
            layout,
            synced: Cell::new(false),
        }
    }

    fn size(&self) -> u64 {
        self.extents.last().map_or(0, |extent| extent.end)
    }

    /// Returns the extents in a range.
    fn within(&self, start: u64, end: u64) -> impl Iterator<Item = &Extent> {
        let first = self.extents.partition_point(|extent| extent.end <= start);
        self.extents[first..]
            .iter()
            .take_while(move |extent| extent.start < end)
    }

    fn flags(&self, extent: &Extent) -> u32 {
        extent.kind.flags(self.synced.get())
    }
}

impl BlockMap for Known<'_> {
    fn fiemap(&self, request: &mut Request) -> Option<()> {
        if request.header.flags & SYNC != 0 {
            self.synced.set(true);
        }
        let start = request.header.start;
        let rest: Vec<_> = self.within(start, u64::MAX).collect();
        if request.header.extent_count == 0 {
            request.header.mapped_extents = rest.len() as u32;
            return Some(());
        }
        let room = request.header.extent_count as usize;
        request.header.mapped_extents = rest.len().min(room) as u32;
        for (i, (extent, raw)) in rest.iter().zip(&mut request.extents[..room]).enumerate() {
            let begin = match self.layout.trims {
                true => extent.start.max(start),
                false => extent.start,
            };
            raw.logical = begin;
            raw.length = extent.end - begin;
            raw.flags = self.flags(extent);
            if self.layout.marks_last && i + 1 == rest.len() {
                raw.flags |= LAST;
            }
        }
        Some(())
    }
}

fn check_possible(layout: &Layout) {
    let file = Known::new(layout);
    let go_on = || Ok::<(), ()>(());
    let count = file.extents.len() as u64;
    let bytes = |is: &dyn Fn(&Extent) -> bool| {
        let extents = file.extents.iter().filter(|extent| is(extent));
        extents.map(|extent| extent.end - extent.start).sum::<u64>()
    };
    let shared = bytes(&|extent| file.flags(extent) & SHARED != 0);
    assert_eq!(
        engine::summarize_extents(&file, go_on),
        Ok(Some((count, shared)))
    );
    let written = bytes(&|extent| file.flags(extent) & NOT_KNOWN_WRITTEN == 0);
    assert_eq!(engine::known_written(&file, go_on), Ok(written));

    let mut written = WrittenMap::new(&file);
    for &query in &layout.queries {
        check_at(&file, &mut written, u64::from(query));
    }
    check_all_unwritten(&file);

    for allocated in [0, u64::MAX] {
        let limit = u64::from(layout.limit);
        let more = engine::has_more_extents_than(&file, limit, allocated, go_on);
        assert_eq!(more, Ok(count > limit));
    }
}

fn check_at(file: &Known<'_>, map: &mut WrittenMap<'_, Known<'_>>, offset: u64) {
    let (is_written, end) = map.at(offset);
    assert!(end > offset);
    let mut inside = file.within(offset, offset + 1);
    let expected = inside.any(|extent| file.flags(extent) & NOT_KNOWN_WRITTEN == 0);
    assert_eq!(is_written, expected, "at {offset}");
    for extent in file.within(offset, end) {
        let is_known = file.flags(extent) & NOT_KNOWN_WRITTEN == 0;
        assert_eq!(is_known, is_written, "from {offset} to {end}");
    }
}

/// Finds all blocks that were never written, as a look for the ranges of data does.
fn check_all_unwritten(file: &Known<'_>) {
    let mut map = WrittenMap::new(file);
    let (mut offset, mut found) = (0, 0);
    while offset < file.size() {
        let (is_unwritten, end) = map.was_never_written(offset);
        assert!(end > offset);
        let end = end.min(file.size());
        if is_unwritten {
            let mut hidden = file.within(offset, end);
            let hidden = hidden.find(|extent| !matches!(extent.kind, Kind::Unwritten));
            assert!(hidden.is_none(), "data from {offset} to {end} is hidden");
            found += end - offset;
        }
        offset = end;
    }
    let unwritten = file
        .extents
        .iter()
        .filter(|extent| matches!(extent.kind, Kind::Unwritten))
        .map(|extent| extent.end - extent.start);
    assert_eq!(found, unwritten.sum(), "bytes that were never written");
}

/// Answers, which are given in turn.
struct Answers {
    answers: Vec<Answer>,
    next: Cell<usize>,
    queries: Vec<u64>,
    limit: u16,
}

struct Answer {
    fails: bool,
    /// What the header says, if it differs from what is filled in.
    mapped_extents: Option<u32>,
    extents: Vec<(Place, Place, u32)>,
}

impl<'a> Arbitrary<'a> for Answers {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            limit: u.arbitrary()?,
            queries: u.arbitrary()?,
            answers: u.arbitrary()?,
            next: Cell::new(0),
        })
    }
}

impl<'a> Arbitrary<'a> for Answer {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            fails: u.arbitrary()?,
            mapped_extents: u.arbitrary()?,
            extents: u.arbitrary()?,
        })
    }
}

/// An offset or a length: small, large or any.
#[derive(Clone, Copy)]
enum Place {
    Small(u8),
    FromTheEnd(u8),
    Any(u64),
}

impl<'a> Arbitrary<'a> for Place {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=2)? {
            0 => Self::Small(u.arbitrary()?),
            1 => Self::FromTheEnd(u.arbitrary()?),
            _ => Self::Any(u.arbitrary()?),
        })
    }
}

impl Place {
    fn value(self) -> u64 {
        match self {
            Self::Small(value) => value.into(),
            Self::FromTheEnd(value) => u64::MAX - u64::from(value),
            Self::Any(value) => value,
        }
    }
}

impl BlockMap for Answers {
    fn fiemap(&self, request: &mut Request) -> Option<()> {
        let next = self.next.get();
        self.next.set(next.wrapping_add(1));
        let answer = self.answers.get(next % self.answers.len().max(1))?;
        for (raw, &(logical, length, flags)) in request.extents.iter_mut().zip(&answer.extents) {
            (raw.logical, raw.length, raw.flags) = (logical.value(), length.value(), flags);
        }
        let filled = answer.extents.len().min(request.extents.len()) as u32;
        request.header.mapped_extents = answer.mapped_extents.unwrap_or(filled);
        (!answer.fails).then_some(())
    }
}

fn check_arbitrary(answers: &Answers) {
    // Each call of a walk must go on to the end of another extent.
    let ends: usize = answers
        .answers
        .iter()
        .map(|answer| answer.extents.len() + 1)
        .sum();
    let calls = Cell::new(0);
    let go_on = || {
        calls.set(calls.get() + 1);
        assert!(calls.get() <= ends + 1, "a walk does not end");
        Ok::<(), ()>(())
    };
    let _ = engine::summarize_extents(answers, go_on);
    calls.set(0);
    let _ = engine::known_written(answers, go_on);
    for allocated in [0, u64::MAX] {
        calls.set(0);
        let limit = answers.limit.into();
        let _ = engine::has_more_extents_than(answers, limit, allocated, go_on);
    }
    let mut map = WrittenMap::new(answers);
    for &query in &answers.queries {
        // No file is larger than this.
        let offset = query.min(i64::MAX as u64);
        let answer = map.at(offset);
        assert!(answer.1 > offset, "no progress at {offset}");
        let answer = map.was_never_written(offset);
        assert!(answer.1 > offset, "no progress at {offset}");
    }
}
