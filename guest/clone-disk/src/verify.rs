//! Compares the bytes of two files in the guest.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use fast_copy::{DataRange, Error, FileUsage};
use futures::Stream;

use crate::data::{DataOfEither, Ranges, ranges_or_all};
use crate::progress::Progress;

/// The bytes of one read. wasmtime returns at most 64 KiB from a read.
const CHUNK: u64 = 64 << 10;

/// Prints that the files are the same, or fails with the offset of the first byte that differs.
///
/// Where one file is a prefix of the other, that is the shorter one's size. Reads only where one of the files
/// has data: elsewhere both read as zeros.
///
/// Waits for nothing but the ranges of the two.
pub async fn compare(a: Image<'_>, b: Image<'_>) -> Result<(), String> {
    let (path_a, path_b, size_a, size_b) = (a.reader.path, b.reader.path, a.size, b.size);
    let common = size_a.min(size_b);
    if let Some(offset) = first_difference(a, b, common).await? {
        return Err(format!("{path_a} and {path_b} differ at byte {offset}"));
    }
    if size_a != size_b {
        return Err(format!("{path_a} and {path_b} differ at byte {common}"));
    }
    println!("{path_a} and {path_b} are the same, {common} bytes");
    Ok(())
}

/// Returns the offset of the first byte below `size` that differs. Shows how far it is.
async fn first_difference(
    mut a: Image<'_>,
    mut b: Image<'_>,
    size: u64,
) -> Result<Option<u64>, String> {
    let mut progress = Progress::start(b.reader.path);
    let (total, mut compared) = ((a.data + b.data).min(size), 0);
    let mut ranges = DataOfEither::new([a.ranges, b.ranges], size);
    while let Some(range) = ranges.next().await {
        let range = range.map_err(|error| error.to_string())?;
        let mut offset = range.start;
        while offset < range.end {
            let length = CHUNK.min(range.end - offset);
            let bytes_a = a.reader.read(offset, length)?;
            let bytes_b = b.reader.read(offset, length)?;
            if bytes_a != bytes_b {
                let pairs = bytes_a.iter().zip(bytes_b);
                let same = pairs.take_while(|(a, b)| a == b).count();
                return Ok(Some(offset + same as u64));
            }
            offset += length;
            compared += length;
            progress.show(compared, total);
        }
    }
    Ok(None)
}

/// A file that is compared.
pub struct Image<'a> {
    reader: Reader<'a>,
    size: u64,
    /// How many bytes of data it has, at most.
    data: u64,
    ranges: Ranges<'a>,
}

impl<'a> Image<'a> {
    /// Opens a file. Takes what the host says about the space that it uses, and about where it has data.
    pub fn open(
        path: &'a str,
        usage: Result<FileUsage, Error>,
        ranges: Result<impl Stream<Item = Result<DataRange, Error>> + 'a, Error>,
    ) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        let metadata = file.metadata();
        let size = metadata.map_err(|error| format!("{path}: {error}"))?.len();
        Ok(Self {
            reader: Reader {
                path,
                file,
                position: 0,
                buffer: vec![0; CHUNK as usize],
            },
            size,
            // Only the progress needs it.
            data: usage.map_or(size, |usage| usage.allocated.min(size)),
            ranges: ranges_or_all(ranges, size).map_err(|error| error.to_string())?,
        })
    }
}

/// Reads a file at any offset.
struct Reader<'a> {
    path: &'a str,
    file: File,
    /// The offset of the next read without a seek.
    position: u64,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Returns `length` bytes at `offset`; at most [`CHUNK`].
    fn read(&mut self, offset: u64, length: u64) -> Result<&[u8], String> {
        let read = self.try_read(offset, length as usize);
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                format!("{}: became shorter during the comparison", self.path)
            }
            _ => format!("{}: {error}", self.path),
        })?;
        Ok(&self.buffer[..length as usize])
    }

    fn try_read(&mut self, offset: u64, length: usize) -> io::Result<()> {
        if self.position != offset {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        self.file.read_exact(&mut self.buffer[..length])?;
        self.position = offset + length as u64;
        Ok(())
    }
}
