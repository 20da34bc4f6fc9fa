//! The bytes of one extent, by one worker: two movers, `copy_file_range` and reading and writing.
//!
//! The first may densify what it is given (on ext4 it writes a hole as zeros), so it only ever gets ranges
//! that were surely written.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::extents::Extent;
use super::platform::{self, WrittenMap};
use super::transfer::{BUFFER_SIZE, Transfer};
use super::zeros::nonzero_runs;

/// How long a piece must be, in bytes, for the disk to be told of it at once. With less, the file
/// system lays out the copy of a fragmented file worse and later ends no sooner.
const WORTH_WRITING_BACK: u64 = 1 << 20;

/// What to do with blocks of zeros among the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// Left out.
    Dig,
    /// Kept where they were surely written. Other zeros in data are preallocated blocks which
    /// nobody ever wrote: the file system calls them data as soon as the page cache holds them.
    KeepWritten,
}

/// One thread's tools.
pub(super) struct Worker<'t, 'a> {
    transfer: &'t Transfer<'a>,
    written: WrittenMap<'a>,
    buffer: Vec<u8>,
}

impl<'t, 'a> Worker<'t, 'a> {
    pub(super) fn new(transfer: &'t Transfer<'a>) -> Self {
        Self {
            transfer,
            written: WrittenMap::new(&transfer.source.file),
            buffer: Vec::new(),
        }
    }

    pub(super) fn move_extent(&mut self, extent: Extent) -> Result<(), CopyError> {
        let range = extent.range();
        match extent {
            Extent::Data(_) if !self.transfer.dig_holes => self.move_data(range.clone())?,
            Extent::Data(_) | Extent::Unmapped(_) => self.pump(range.clone(), Zeros::Dig)?,
        }
        if self.transfer.write_back && range.end - range.start >= WORTH_WRITING_BACK {
            self.write_back(range)?;
        }
        Ok(())
    }

    /// Tells the disk of a piece now.
    ///
    /// An error that says no more than "not here" or "not now" leaves it all to the synchronisation
    /// in the end. Any other ends the copy: a file system that finds no place for dirty data may
    /// throw it away (ext4 does where its block bitmap is damaged), and then this call is the only
    /// one that hears of it.
    fn write_back(&self, range: Range<u64>) -> Result<(), CopyError> {
        match platform::start_writing_back(&self.transfer.staged.file, range) {
            Err(error) if !platform::is_left_for_later(&error) => Err(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            )),
            _ => Ok(()),
        }
    }

    /// Moves a range that the file system calls data.
    fn move_data(&mut self, mut range: Range<u64>) -> Result<(), CopyError> {
        while range.start < range.end && self.transfer.may_offload.load(Ordering::Relaxed) {
            let (surely_written, until) = self.written.at(range.start);
            let part = range.start..until.min(range.end);
            range.start = if surely_written {
                self.offload(part)?
            } else {
                self.pump(part.clone(), Zeros::KeepWritten)?;
                part.end
            };
        }
        self.pump(range, Zeros::KeepWritten)
    }

    /// Lets the kernel move a range, and returns where it stopped. If that is before the end, the
    /// kernel won't move more: from here on bytes are read and written.
    ///
    /// Before the first byte of the copy, any error but a lack of room means that the kernel can't
    /// do it for these two files. Later the usual errors are terminal, and the others make the copy
    /// go on at the exact next byte. A 0 is not the end of the file: kernels have answered it for
    /// files that could be read (overlayfs, 5.6 to 5.10; procfs).
    fn offload(&self, range: Range<u64>) -> Result<u64, CopyError> {
        let transfer = self.transfer;
        let (src, dst) = (&transfer.source.file, &transfer.staged.file);
        let mut at = range.start;
        while at < range.end {
            let length = match transfer.bounds.is_paced() {
                true => (range.end - at).min(BUFFER_SIZE as u64),
                false => range.end - at,
            };
            transfer.bounds.pace(length)?;
            transfer.bounds.admit(length, dst)?;
            let result = platform::offload(src, dst, at, length);
            let moved = *result.as_ref().unwrap_or(&0);
            transfer.bounds.give_back(length.saturating_sub(moved));
            match result {
                Ok(0) => break,
                Ok(moved) => {
                    at += moved;
                    transfer.offloaded.store(true, Ordering::Relaxed);
                    transfer.bounds.add_copied(moved);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let stop = if transfer.offloaded.load(Ordering::Relaxed) {
                        platform::is_terminal(&error)
                    } else {
                        platform::is_lack_of_room(&error)
                    };
                    if stop {
                        return Err(CopyError::new(CopyStep::Transfer, error));
                    }
                    transfer.bounds.offload_refused(&error);
                    break;
                }
            }
        }
        if at < range.end {
            transfer.may_offload.store(false, Ordering::Relaxed);
        }
        Ok(at)
    }

    /// Reads and writes a range.
    fn pump(&mut self, mut range: Range<u64>, zeros: Zeros) -> Result<(), CopyError> {
        while range.start < range.end {
            let length = self.fill(&range)?;
            let at = range.start;
            range.start += length as u64;
            for run in self.worth_writing(at..range.start, zeros) {
                self.write(at + run.start as u64, run)?;
            }
        }
        Ok(())
    }

    /// Which parts of the buffer are to be written, if it holds this range of the file.
    fn worth_writing(&mut self, range: Range<u64>, zeros: Zeros) -> Vec<Range<usize>> {
        let bytes = &self.buffer[..(range.end - range.start) as usize];
        let block = self.transfer.block;
        let runs = nonzero_runs(bytes, range.start, block);
        // The map is asked only if there is a zero block to ask about.
        if zeros == Zeros::Dig || runs.first() == Some(&(0..bytes.len())) {
            return runs;
        }
        let mut kept = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (surely_written, until) = self.written.at(at);
            let part = at..until.min(range.end);
            at = part.end;
            let start = (part.start - range.start) as usize;
            let end = (part.end - range.start) as usize;
            if surely_written {
                kept.push(start..end);
            } else {
                let runs = nonzero_runs(&bytes[start..end], part.start, block);
                kept.extend(
                    runs.into_iter()
                        .map(|run| start + run.start..start + run.end),
                );
            }
        }
        kept
    }

    /// Reads the beginning of `range` into the buffer, as much as fits, and returns how much.
    ///
    /// The buffer ends at a block of the file where it can, so that blocks of zeros stay whole.
    fn fill(&mut self, range: &Range<u64>) -> Result<usize, CopyError> {
        let Transfer { source, block, .. } = *self.transfer;
        if self.buffer.is_empty() {
            let whole = source.size().next_multiple_of(block as u64);
            self.buffer = vec![0; whole.min(BUFFER_SIZE as u64) as usize];
        }
        let misaligned = (range.start % block as u64) as usize;
        let room = (self.buffer.len() - misaligned) as u64;
        let wanted = room.min(range.end - range.start) as usize;
        let mut filled = 0;
        self.transfer.bounds.pace(wanted as u64)?;
        while filled < wanted {
            self.transfer.bounds.check(CopyStep::Transfer)?;
            let rest = &mut self.buffer[filled..wanted];
            match platform::read_at(&source.file, rest, range.start + filled as u64) {
                Ok(0) => return Err(self.ended_early()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CopyError::source(CopyStep::Transfer, error)),
            }
        }
        Ok(filled)
    }

    /// The source yielded fewer bytes than its size: it was cut, or its size was never true.
    fn ended_early(&self) -> CopyError {
        match self.transfer.source.refuse_change() {
            Err(changed) => changed,
            Ok(()) => CopyError::source(
                CopyStep::Transfer,
                CopyErrorKind::Unsupported(
                    "the source yields fewer bytes than its size: a file made up by the kernel",
                ),
            ),
        }
    }

    /// Writes a part of the buffer at an offset of the staged file.
    fn write(&self, mut at: u64, mut part: Range<usize>) -> Result<(), CopyError> {
        let transfer = self.transfer;
        transfer
            .bounds
            .admit(part.len() as u64, &transfer.staged.file)?;
        while !part.is_empty() {
            transfer.bounds.check(CopyStep::Transfer)?;
            let result = platform::write_at(&transfer.staged.file, &self.buffer[part.clone()], at);
            let error = match result {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    at += written as u64;
                    part.start += written;
                    transfer.bounds.add_copied(written as u64);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            ));
        }
        Ok(())
    }
}
