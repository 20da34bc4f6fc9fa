//! Makes the disk image of a virtual machine from a base image, for the example `vm_images`.
//!
//! - `first-boot clone BASE IMAGE SIZE` clones BASE to IMAGE, and makes it SIZE bytes large.
//! - `first-boot write BASE IMAGE NAME OFFSET...` writes blocks of 4 KiB to IMAGE: one with NAME in place of the
//!   [`PLACEHOLDER`], and one at each OFFSET. OFFSET is in the part that IMAGE has and BASE has not.
//!
//! The placeholder is in a file of the file system in BASE. The file system stays sound, because only the file's
//! data changes: ext4 has no checksums of it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::process::ExitCode;

use fast_copy::{CopyOptions, DataRange, data_ranges};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: first-boot clone BASE IMAGE SIZE, or first-boot write BASE IMAGE NAME OFFSET...";

const BLOCK: usize = 4096;

/// The text at the start of the block that gets the name.
const PLACEHOLDER: &[u8] = b"# first-boot writes the name here\n";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match *args {
        ["clone", base, image, size] => clone(base, image, size),
        ["write", base, image, name, ref offsets @ ..] if !offsets.is_empty() => {
            write(base, image, name, offsets)
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("first-boot: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Clones the base. Returns a line about it, for people.
fn clone(base: &str, image: &str, size: &str) -> Result<String> {
    let size = parse("SIZE", size)?;
    let report = CopyOptions::new().size(size).fast_copy(base, image)?;
    let (method, copied) = (report.method, report.copied);
    Ok(format!("{image}: {method}, {copied} bytes copied"))
}

/// Writes the blocks, and waits until they are on the disk. Returns a line about it, for people.
fn write(base: &str, image: &str, name: &str, offsets: &[&str]) -> Result<String> {
    let added = size(base)?..size(image)?;
    let mut blocks = Vec::new();
    for offset in offsets {
        let offset = parse("OFFSET", offset)?;
        if !added.contains(&offset) {
            return Err(format!("{image}: {offset} is not behind the end of {base}").into());
        }
        blocks.push((offset, format!("{name}: block at {offset}\n")));
    }
    let data: Vec<DataRange> = data_ranges(image)?.collect::<std::result::Result<_, _>>()?;
    let file = File::options().read(true).write(true).open(image);
    let file = file.map_err(about(image))?;
    let place = find_placeholder(&file, &data).map_err(about(image))?;
    let place = place.ok_or_else(|| format!("{image}: there is no placeholder in it"))?;
    blocks.push((place, format!("hostname={name}\n")));
    write_blocks(&file, &blocks).map_err(about(image))?;
    let offsets = offsets.join(", ");
    Ok(format!("{image}: name at {place}, blocks at {offsets}"))
}

fn size(path: &str) -> Result<u64> {
    Ok(fs::metadata(path).map_err(about(path))?.len())
}

/// Returns the offset of the block that begins with the placeholder. Looks only where the file has data.
fn find_placeholder(file: &File, data: &[DataRange]) -> io::Result<Option<u64>> {
    // wasmtime returns at most 64 KiB from a read.
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let mut block = [0; BLOCK];
    for range in data {
        // A range can begin within a block.
        let start = range.offset - range.offset % BLOCK as u64;
        reader.seek(SeekFrom::Start(start))?;
        for offset in (start..range.offset + range.length).step_by(BLOCK) {
            reader.read_exact(&mut block)?;
            if block.starts_with(PLACEHOLDER) {
                return Ok(Some(offset));
            }
        }
    }
    Ok(None)
}

/// Writes each text at its offset. Line feeds fill its block.
fn write_blocks(mut file: &File, blocks: &[(u64, String)]) -> io::Result<()> {
    for (offset, text) in blocks {
        let mut block = [b'\n'; BLOCK];
        let start = block.get_mut(..text.len());
        let start = start.ok_or_else(|| io::Error::other("NAME is too long for a block"))?;
        start.copy_from_slice(text.as_bytes());
        file.seek(SeekFrom::Start(*offset))?;
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// Parses a number of bytes: whole blocks.
fn parse(what: &str, spelling: &str) -> Result<u64> {
    let number = spelling.parse().ok();
    let number = number.filter(|bytes: &u64| bytes.is_multiple_of(BLOCK as u64));
    number.ok_or_else(|| format!("{what} {spelling}: write a multiple of {BLOCK}").into())
}

/// Puts a path before the text of an error.
fn about(path: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("{path}: {error}")
}
