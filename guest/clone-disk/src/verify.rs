//! Runs `clone-disk verify`: compares the bytes of two files in the guest.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use fast_copy::disk_usage;

use crate::data::DataOfEither;
use crate::progress::Progress;

/// The bytes of one read. wasmtime returns at most 64 KiB from a read.
const CHUNK: u64 = 64 << 10;

/// Prints that the files are the same, or fails with the offset of the first byte that differs.
///
/// Where one file is a prefix of the other, that is the shorter one's size. Reads only where one of the files
/// has data: elsewhere both read as zeros.
pub fn run(a: &str, b: &str) -> Result<(), String> {
    let (mut image_a, mut image_b) = (Image::open(a)?, Image::open(b)?);
    let common = image_a.size.min(image_b.size);
    if let Some(offset) = first_difference(&mut image_a, &mut image_b, common)? {
        return Err(format!("{a} and {b} differ at byte {offset}"));
    }
    if image_a.size != image_b.size {
        return Err(format!("{a} and {b} differ at byte {common}"));
    }
    println!("{a} and {b} are the same, {common} bytes");
    Ok(())
}

/// Returns the offset of the first byte below `size` that differs. Shows how far it is.
fn first_difference(a: &mut Image, b: &mut Image, size: u64) -> Result<Option<u64>, String> {
    let mut progress = Progress::start(b.path);
    let (total, mut compared) = ((a.data + b.data).min(size), 0);
    let ranges = DataOfEither::new(a.path, b.path, size).map_err(|error| error.to_string())?;
    for range in ranges {
        let range = range.map_err(|error| error.to_string())?;
        let mut offset = range.start;
        while offset < range.end {
            let length = CHUNK.min(range.end - offset);
            let (bytes_a, bytes_b) = (a.read(offset, length)?, b.read(offset, length)?);
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
struct Image<'a> {
    path: &'a str,
    file: File,
    size: u64,
    /// How many bytes of data it has, at most.
    data: u64,
    /// The offset of the next read without a seek.
    position: u64,
    buffer: Vec<u8>,
}

impl<'a> Image<'a> {
    fn open(path: &'a str) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        let metadata = file.metadata();
        let size = metadata.map_err(|error| format!("{path}: {error}"))?.len();
        // Only the progress needs it.
        let data = disk_usage(path).map_or(size, |usage| usage.allocated.min(size));
        Ok(Self {
            path,
            file,
            size,
            data,
            position: 0,
            buffer: vec![0; CHUNK as usize],
        })
    }

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
