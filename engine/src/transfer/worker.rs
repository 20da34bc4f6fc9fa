//! One worker: it moves the bytes of an extent, by `copy_file_range` or by reading and writing.
//!
//! `copy_file_range` can fill holes (on ext4 it writes a hole as zeros). So it only gets ranges that are
//! known to be written.

use std::io::ErrorKind;
use std::ops::Range;

use super::extents::Extent;
use super::task::{BUFFER_SIZE, Task};
use super::zeros::nonzero_runs;
use crate::error::{CopyError, CopyErrorKind, CopyStep};
use crate::platform::{self, WrittenMap};

/// The least length of an extent that is written back early, in bytes. For shorter ones the file system
/// lays out the copy of a fragmented file worse, and the copy ends no sooner.
const WORTH_WRITING_BACK: u64 = 1 << 20;

/// What happens to blocks of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    /// They are left out.
    Dig,
    /// They are kept if they are known to be written. Other zeros in data are preallocated blocks that
    /// were never written: the file system reports them as data once the page cache holds them.
    KeepWritten,
}

/// A worker, with its view of the block map and its buffer.
pub(super) struct Worker<'t, 'a> {
    task: &'t Task<'a>,
    written: WrittenMap<'a>,
    buffer: Vec<u8>,
}

impl<'t, 'a> Worker<'t, 'a> {
    pub(super) fn new(task: &'t Task<'a>) -> Self {
        Self {
            task,
            written: WrittenMap::new(&task.source.file),
            buffer: Vec::new(),
        }
    }

    pub(super) fn move_extent(&mut self, extent: Extent) -> Result<(), CopyError> {
        let range = extent.range();
        match extent {
            Extent::Data(_) if !self.task.context.options.dig_holes => {
                self.move_data(range.clone())?
            }
            Extent::Data(_) | Extent::Unmapped(_) => self.pump(range.clone(), Zeros::Dig)?,
        }
        if self.task.writes_back_early() && range.end - range.start >= WORTH_WRITING_BACK {
            self.write_back(range)?;
        }
        Ok(())
    }

    /// Starts to write a range to the disk.
    ///
    /// An error that only means "not supported" or "not now" is ignored; the final synchronisation
    /// writes the data. Any other error ends the copy: a file system that can't allocate blocks for dirty
    /// data may discard it (ext4 does if its block bitmap is damaged), and only this call reports that.
    fn write_back(&self, range: Range<u64>) -> Result<(), CopyError> {
        match platform::start_writing_back(&self.task.staged.file, range) {
            Err(error) if !platform::is_left_for_later(&error) => Err(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            )),
            _ => Ok(()),
        }
    }

    /// Moves a range that the file system reports as data.
    fn move_data(&mut self, mut range: Range<u64>) -> Result<(), CopyError> {
        while range.start < range.end && self.task.may_offload() {
            let (known_written, until) = self.written.at(range.start);
            let part = range.start..until.min(range.end);
            range.start = if known_written {
                self.offload(part)?
            } else {
                self.pump(part.clone(), Zeros::KeepWritten)?;
                part.end
            };
        }
        self.pump(range, Zeros::KeepWritten)
    }

    /// Lets the kernel move a range, and returns where it stopped. If that is before the end, the kernel
    /// moves no more, and all further bytes are read and written.
    ///
    /// Before the first byte of the copy, any error means that the kernel can't do it for these two files.
    /// After that, `EIO` and `ETXTBSY` end the copy, and other errors make it continue at the exact next byte;
    /// if there is no room, the write there fails. A result of 0 is not the end of the file: kernels have
    /// returned it for files that
    /// could be read (overlayfs, 5.6 to 5.10; procfs).
    fn offload(&self, range: Range<u64>) -> Result<u64, CopyError> {
        let (task, context) = (self.task, self.task.context);
        let (src, dst) = (&task.source.file, &task.staged.file);
        let mut at = range.start;
        while at < range.end {
            let length = match context.is_paced() {
                true => (range.end - at).min(context.chunk(BUFFER_SIZE as u64)),
                false => range.end - at,
            };
            context.pace(length)?;
            context.admit(length, task.staged)?;
            let result = platform::offload(src, dst, at, length);
            let moved = *result.as_ref().unwrap_or(&0);
            context.give_back(length.saturating_sub(moved));
            match result {
                Ok(0) => break,
                Ok(moved) => {
                    at += moved;
                    task.set_offloaded();
                    context.add_copied(moved);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if task.was_offloaded() && platform::is_final(&error) {
                        return Err(CopyError::new(CopyStep::Transfer, error));
                    }
                    context.offload_refused(&error);
                    break;
                }
            }
        }
        if at < range.end {
            task.stop_offloading();
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

    /// Returns the parts of the buffer to write. The buffer holds this range of the file.
    fn worth_writing(&mut self, range: Range<u64>, zeros: Zeros) -> Vec<Range<usize>> {
        let bytes = &self.buffer[..(range.end - range.start) as usize];
        let block = self.task.block;
        let runs = nonzero_runs(bytes, range.start, block);
        // The map is queried only if there is a block of zeros.
        if zeros == Zeros::Dig || runs.first() == Some(&(0..bytes.len())) {
            return runs;
        }
        let mut kept = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (known_written, until) = self.written.at(at);
            let part = at..until.min(range.end);
            at = part.end;
            let start = (part.start - range.start) as usize;
            let end = (part.end - range.start) as usize;
            if known_written {
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

    /// Reads the beginning of `range` into the buffer, as much as fits, and returns the length.
    ///
    /// The end of the buffer is aligned to a block of the file where possible, so that blocks of zeros
    /// are not split.
    fn fill(&mut self, range: &Range<u64>) -> Result<usize, CopyError> {
        let Task {
            source,
            block,
            context,
            ..
        } = *self.task;
        if self.buffer.is_empty() {
            let whole = source.size().next_multiple_of(block as u64);
            self.buffer = allocate(whole.min(BUFFER_SIZE as u64) as usize)?;
        }
        let misaligned = (range.start % block as u64) as usize;
        let room = context.chunk(self.buffer.len() as u64) - misaligned as u64;
        let wanted = room.min(range.end - range.start) as usize;
        let mut filled = 0;
        context.pace(wanted as u64)?;
        while filled < wanted {
            context.check(CopyStep::Transfer)?;
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

    /// Returns the error for a source that yields fewer bytes than its size: it was truncated, or it
    /// reports a wrong size.
    fn ended_early(&self) -> CopyError {
        match self.task.source.refuse_change() {
            Err(changed) => changed,
            Ok(_) => CopyError::source(
                CopyStep::Transfer,
                CopyErrorKind::NotRegularFile(
                    "yields fewer bytes than its size (a kernel file such as those in /sys)",
                ),
            ),
        }
    }

    /// Writes a part of the buffer at an offset of the staged file.
    fn write(&self, mut at: u64, mut part: Range<usize>) -> Result<(), CopyError> {
        let Task {
            context, staged, ..
        } = *self.task;
        context.admit(part.len() as u64, staged)?;
        while !part.is_empty() {
            context.check(CopyStep::Transfer)?;
            let result = platform::write_at(&staged.file, &self.buffer[part.clone()], at);
            let error = match result {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    at += written as u64;
                    part.start += written;
                    context.add_copied(written as u64);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err(staged.write_error(error));
        }
        Ok(())
    }
}

/// Allocates a buffer, or fails where `vec!` would abort the process.
#[expect(
    clippy::slow_vector_initialization,
    reason = "no zeroed allocation of the standard library can fail"
)]
fn allocate(length: usize) -> Result<Vec<u8>, CopyError> {
    let mut buffer = Vec::new();
    match buffer.try_reserve_exact(length) {
        Ok(()) => {
            buffer.resize(length, 0);
            Ok(buffer)
        }
        Err(_) => Err(CopyError::new(
            CopyStep::Transfer,
            CopyErrorKind::InsufficientMemory,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_cannot_be_allocated_is_an_error() {
        assert_eq!(allocate(3).unwrap(), [0; 3]);
        let error = allocate(usize::MAX / 2).unwrap_err();
        assert!(matches!(error.kind(), CopyErrorKind::InsufficientMemory));
    }
}
