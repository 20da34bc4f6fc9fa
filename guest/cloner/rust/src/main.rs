//! Clones BASE to each CLONE, and compares it with BASE where one of the two has data.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::process::ExitCode;

use fast_copy::{CopyOptions, Error, data_ranges};

fn main() -> ExitCode {
    let Err(line) = run(std::env::args().skip(1).collect()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{line}");
    ExitCode::FAILURE
}

fn run(args: Vec<String>) -> Result<(), String> {
    let Some((base, clones @ [_, ..])) = args.split_first() else {
        return Err("usage: cloner BASE CLONE...".to_owned());
    };
    let options = CopyOptions::new().symlink_follow(false);
    for clone in clones {
        let report = options.fast_copy(base, clone).map_err(failed(clone))?;
        let (method, copied, size) = (report.method, report.copied, report.size);
        println!("{clone}: {method}, {copied} of {size} bytes copied");
        let open = |path| File::open(path).map_err(|error| format!("cloner: {path}: {error}"));
        let mut files = [open(base)?, open(clone)?];
        compare(clone, &mut files)?;
        let bytes = compare(base, &mut files)?;
        println!("{clone}: verified, {bytes} bytes of data");
    }
    Ok(())
}

/// Compares two files where the one at `path` has data. Returns how many bytes that are.
fn compare(path: &str, files: &mut [File; 2]) -> Result<u64, String> {
    let mut bytes = 0;
    for range in data_ranges(path).map_err(failed(path))? {
        let range = range.map_err(failed(path))?;
        let end = range.offset + range.length;
        for offset in (range.offset..end).step_by(1 << 16) {
            let length = (end - offset).min(1 << 16);
            match files.each_mut().map(|file| read(file, offset, length)) {
                [Ok(a), Ok(b)] if a == b => bytes += length,
                _ => return Err(format!("cloner: {path}: not verified")),
            }
        }
    }
    Ok(bytes)
}

fn read(file: &mut File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut bytes).map(|()| bytes)
}

fn failed(path: &str) -> impl Fn(Error) -> String {
    move |error| format!("cloner: {path}: {}", error.code())
}
