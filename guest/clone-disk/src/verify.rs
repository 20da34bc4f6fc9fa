//! Runs `clone-disk verify`: compares two files in the guest, with `std::fs` alone.

use std::fs::File;
use std::io::{self, Read};

/// The bytes of one read. wasmtime returns at most 64 KiB from a read.
const CHUNK: usize = 64 << 10;

/// Prints that the files are the same, or fails with the offset of the first byte that differs.
///
/// Where one file is a prefix of the other, that is the shorter one's size.
pub fn run(a: &str, b: &str) -> Result<(), String> {
    let (mut file_a, mut file_b) = (open(a)?, open(b)?);
    let (mut buffer_a, mut buffer_b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let read_a = fill(&mut file_a, &mut buffer_a).map_err(|error| format!("{a}: {error}"))?;
        let read_b = fill(&mut file_b, &mut buffer_b).map_err(|error| format!("{b}: {error}"))?;
        let (read_a, read_b) = (&buffer_a[..read_a], &buffer_b[..read_b]);
        if read_a != read_b {
            let same = read_a
                .iter()
                .zip(read_b)
                .take_while(|(x, y)| x == y)
                .count();
            return Err(format!(
                "{a} and {b} differ at byte {}",
                offset + same as u64
            ));
        }
        if read_a.is_empty() {
            println!("{a} and {b} are the same, {offset} bytes");
            return Ok(());
        }
        offset += read_a.len() as u64;
    }
}

fn open(path: &str) -> Result<File, String> {
    File::open(path).map_err(|error| format!("{path}: {error}"))
}

/// Reads until the buffer is full or the file ends. Returns the number of bytes read.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
