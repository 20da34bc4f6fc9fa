//! Writing to the disk while the copy goes on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Starts to write a range to the disk, so that less is left for the `fsync` in the end. Waits for
/// nothing but room in the disk's queue.
///
/// An error of the disk is kept on the file for that `fsync` too (`SYNC_FILE_RANGE_WRITE` alone
/// doesn't take it off: fs/sync.c). One of finding a place for the data is only told here.
#[expect(unsafe_code, reason = "no crate of ours wraps this call")]
pub(crate) fn start_writing_back(file: &File, range: Range<u64>) -> io::Result<()> {
    let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = range.start.try_into().map_err(out_of_range)?;
    let length = (range.end - range.start).try_into().map_err(out_of_range)?;
    // SAFETY: numbers and a descriptor that is open; the kernel touches no memory of ours.
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
