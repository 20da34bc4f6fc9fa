//! Early write-back.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Starts to write a range to the disk, so that the final `fsync` has less to write. It waits only for
/// room in the disk's queue.
///
/// The final `fsync` reports an error of the disk too (`SYNC_FILE_RANGE_WRITE` alone does not clear it:
/// fs/sync.c). An error of allocating blocks is reported only here.
#[expect(unsafe_code, reason = "no dependency wraps this call")]
pub(crate) fn start_writing_back(file: &File, range: Range<u64>) -> io::Result<()> {
    let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = range.start.try_into().map_err(out_of_range)?;
    let length = (range.end - range.start).try_into().map_err(out_of_range)?;
    // SAFETY: the descriptor is open, and the call takes no pointer.
    let result = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
