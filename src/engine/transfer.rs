//! Tiers 2 and 3: move the source's data and leave its holes.
//!
//! Two movers: `copy_file_range`, where sharing is allowed and the block map can be trusted, and
//! reading and writing. The first may densify what it is given (on ext4 it writes a hole as zeros),
//! so it only ever gets ranges that were surely written.

use std::io::ErrorKind;
use std::ops::Range;

use super::error::{CopyError, CopyErrorKind, CopyStep};
use super::extents::{Extent, Extents};
use super::options::CopyOptions;
use super::platform::{self, WrittenMap};
use super::source::Source;
use super::staging::Staged;
use super::{CopyControl, Sharing};

/// The most that one call moves, so that a cancel is soon seen. Chunks above 8 MiB are no faster.
const OFFLOAD_CHUNK: u64 = 16 << 20;

/// 256 KiB is where GNU cp's measurements on 11 machines level off (coreutils, `ioblksize.h`).
const BUFFER_SIZE: usize = 256 << 10;

/// What was moved.
pub(super) struct Transferred {
    pub(super) copied: u64,
    pub(super) offloaded: bool,
}

/// Fills the staged file, which is empty, with the source's data, and gives it the source's size.
pub(super) fn transfer(
    source: &Source,
    staged: &Staged<'_>,
    sharing: Sharing,
    options: &CopyOptions,
    control: &CopyControl,
) -> Result<Transferred, CopyError> {
    let size = source.size();
    let at_destination =
        |error| CopyError::destination(CopyStep::Transfer, CopyErrorKind::Os(error));
    platform::prepare_sparse(&staged.file).map_err(at_destination)?;
    staged.file.set_len(size).map_err(at_destination)?;

    let mut mover = Mover::new(source, staged, sharing, control)?;
    let mut written = WrittenMap::new(&source.file);
    for extent in Extents::new(&source.file, size) {
        match extent {
            Extent::Data(range) if !options.dig_holes => mover.move_data(range, &mut written)?,
            Extent::Data(range) | Extent::Unmapped(range) => mover.move_nonzero(range)?,
        }
    }
    source.refuse_change()?;

    let result = platform::status(&staged.file).map_err(at_destination)?;
    if result.size != size {
        return Err(CopyError::destination(
            CopyStep::Transfer,
            CopyErrorKind::Unsupported("the copy has another size than was written to it"),
        ));
    }
    Ok(Transferred {
        copied: mover.copied,
        offloaded: mover.offloaded,
    })
}

/// What an offload came to.
enum Offload {
    /// All was moved.
    Done,
    /// The kernel won't move this; from here on bytes are read and written.
    Refused { at: u64 },
}

struct Mover<'a> {
    source: &'a Source,
    staged: &'a Staged<'a>,
    control: &'a CopyControl,
    may_offload: bool,
    buffer: Vec<u8>,
    /// Zeros are left out in blocks of this many bytes: what the destination allocates at once.
    block: usize,
    copied: u64,
    offloaded: bool,
}

impl<'a> Mover<'a> {
    fn new(
        source: &'a Source,
        staged: &'a Staged<'a>,
        sharing: Sharing,
        control: &'a CopyControl,
    ) -> Result<Self, CopyError> {
        let status = platform::status(&staged.file)
            .map_err(|error| CopyError::destination(CopyStep::Transfer, error))?;
        Ok(Self {
            source,
            staged,
            control,
            may_offload: sharing == Sharing::Allowed,
            buffer: Vec::new(),
            block: zero_block(status.block_size),
            copied: 0,
            offloaded: false,
        })
    }

    /// Moves a range that the file system calls data. That includes preallocated blocks which
    /// nobody ever wrote, as soon as the page cache holds them; these stay holes.
    fn move_data(
        &mut self,
        range: Range<u64>,
        written: &mut WrittenMap<'_>,
    ) -> Result<(), CopyError> {
        let mut at = range.start;
        while at < range.end {
            let (surely_written, until) = written.at(at);
            let part = at..until.min(range.end);
            at = part.end;
            if surely_written {
                self.move_written(part)?;
            } else {
                self.move_nonzero(part)?;
            }
        }
        Ok(())
    }

    fn move_written(&mut self, mut range: Range<u64>) -> Result<(), CopyError> {
        if self.may_offload {
            match self.offload(range.clone())? {
                Offload::Done => return Ok(()),
                Offload::Refused { at } => {
                    self.may_offload = false;
                    range.start = at;
                }
            }
        }
        while range.start < range.end {
            let length = self.fill(&range)?;
            self.write(range.start, 0..length)?;
            range.start += length as u64;
        }
        Ok(())
    }

    /// Moves only the blocks of a range that hold anything but zeros.
    fn move_nonzero(&mut self, mut range: Range<u64>) -> Result<(), CopyError> {
        while range.start < range.end {
            let length = self.fill(&range)?;
            let runs = nonzero_runs(&self.buffer[..length], range.start, self.block);
            for run in runs {
                self.write(range.start + run.start as u64, run)?;
            }
            range.start += length as u64;
        }
        Ok(())
    }

    /// Lets the kernel move a range.
    ///
    /// Before its first byte, any error but a lack of room means that the kernel can't
    /// do it for these two files. Later the usual errors are terminal, and the others make the copy
    /// go on at the exact next byte. A 0 is not the end of the file: kernels have answered it for
    /// files that could be read (overlayfs, 5.6 to 5.10; procfs).
    fn offload(&mut self, range: Range<u64>) -> Result<Offload, CopyError> {
        let mut at = range.start;
        while at < range.end {
            self.check_cancelled()?;
            let length = (range.end - at).min(OFFLOAD_CHUNK);
            match platform::offload(&self.source.file, &self.staged.file, at, length) {
                Ok(0) => return Ok(Offload::Refused { at }),
                Ok(moved) => {
                    at += moved;
                    self.offloaded = true;
                    self.count(moved);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let stop = if self.offloaded {
                        platform::is_terminal(&error)
                    } else {
                        platform::is_lack_of_room(&error)
                    };
                    if stop {
                        return Err(self.failed(CopyError::new(CopyStep::Transfer, error)));
                    }
                    return Ok(Offload::Refused { at });
                }
            }
        }
        Ok(Offload::Done)
    }

    /// Reads the beginning of `range` into the buffer, as much as fits, and returns how much.
    ///
    /// The buffer ends at a block of the file where it can, so that blocks of zeros stay whole.
    fn fill(&mut self, range: &Range<u64>) -> Result<usize, CopyError> {
        if self.buffer.is_empty() {
            let whole = self.source.size().next_multiple_of(self.block as u64);
            self.buffer = vec![0; whole.min(BUFFER_SIZE as u64) as usize];
        }
        let misaligned = (range.start % self.block as u64) as usize;
        let room = (self.buffer.len() - misaligned) as u64;
        let wanted = room.min(range.end - range.start) as usize;
        let mut filled = 0;
        while filled < wanted {
            self.check_cancelled()?;
            let rest = &mut self.buffer[filled..wanted];
            match platform::read_at(&self.source.file, rest, range.start + filled as u64) {
                Ok(0) => return Err(self.failed(self.ended_early())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(self.failed(CopyError::source(CopyStep::Transfer, error)));
                }
            }
        }
        Ok(filled)
    }

    /// The source yielded fewer bytes than its size: it was cut, or its size was never true.
    fn ended_early(&self) -> CopyError {
        match self.source.refuse_change() {
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
    fn write(&mut self, mut at: u64, mut part: Range<usize>) -> Result<(), CopyError> {
        while !part.is_empty() {
            self.check_cancelled()?;
            let result = platform::write_at(&self.staged.file, &self.buffer[part.clone()], at);
            let error = match result {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    at += written as u64;
                    part.start += written;
                    self.count(written as u64);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err(self.failed(CopyError::destination(
                CopyStep::Transfer,
                CopyErrorKind::Os(error),
            )));
        }
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), CopyError> {
        super::check_cancelled(self.control, CopyStep::Transfer).map_err(|error| self.failed(error))
    }

    fn count(&mut self, bytes: u64) {
        self.copied += bytes;
        self.control.add_copied(bytes);
    }

    fn failed(&self, error: CopyError) -> CopyError {
        error.after(self.copied)
    }
}

/// The unit in which zeros are left out: the destination's block size, where that is less than a
/// page. A unit smaller than a block costs nothing; a larger one would fill holes, and network file
/// systems say their transfer size there, of 64 KiB and more.
fn zero_block(reported: u64) -> usize {
    match usize::try_from(reported) {
        Ok(size @ 512..4096) if size.is_power_of_two() => size,
        _ => 4096,
    }
}

/// The runs of `bytes` that hold anything but zeros, in whole blocks of the file that `bytes`
/// stands at `offset` of.
fn nonzero_runs(bytes: &[u8], offset: u64, block: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let to_boundary = block - ((offset + at as u64) % block as u64) as usize;
        let end = bytes.len().min(at + to_boundary);
        if !is_zero(&bytes[at..end]) {
            match runs.last_mut() {
                Some(run) if run.end == at => run.end = end,
                _ => runs.push(at..end),
            }
        }
        at = end;
    }
    runs
}

/// Compares with zeros as `memcmp` does, which every libc has tuned.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block == &ZEROS[..block.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_blocks_of_the_file() {
        let mut bytes = vec![0; 40];
        assert!(nonzero_runs(&bytes, 0, 8).is_empty());
        bytes[9] = 1;
        bytes[17] = 1;
        bytes[39] = 1;
        assert_eq!(nonzero_runs(&bytes, 0, 8), [8..24, 32..40]);
        assert_eq!(nonzero_runs(&bytes, 4, 8), [4..20, 36..40]);
        assert_eq!(nonzero_runs(&bytes[..10], 0, 8).first(), Some(&(8..10)));
        assert!(nonzero_runs(&[], 5, 8).is_empty());
    }

    #[test]
    fn only_a_plausible_block_size_is_believed() {
        assert_eq!(zero_block(1024), 1024);
        for odd in [0, 1, 511, 3000, 4096, 65536, 1 << 20, u64::MAX] {
            assert_eq!(zero_block(odd), 4096);
        }
    }
}
