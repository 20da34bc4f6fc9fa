//! The operations of `wasi:filesystem`.

use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::operation::Operation;
use crate::pattern;

/// Does an operation, and returns the answer.
pub fn run(dir: &Descriptor, operation: Operation) -> String {
    match attempt(dir, operation) {
        Ok(answer) => answer,
        Err(code) => format!("err {}", code.name()),
    }
}

fn attempt(dir: &Descriptor, operation: Operation) -> Result<String, ErrorCode> {
    match operation {
        Operation::Write {
            name,
            offset,
            length,
            seed,
        } => {
            let file = open(dir, &name, OpenFlags::CREATE, DescriptorFlags::WRITE)?;
            let bytes = pattern::bytes(seed, length);
            let mut written = 0;
            while written < bytes.len() {
                written += file.write(&bytes[written..], offset + written as u64)? as usize;
            }
        }
        Operation::Resize { name, size } => {
            let file = open(dir, &name, OpenFlags::empty(), DescriptorFlags::WRITE)?;
            file.set_size(size)?;
        }
        Operation::Read {
            name,
            offset,
            length,
        } => {
            let file = open(dir, &name, OpenFlags::empty(), DescriptorFlags::READ)?;
            let mut read = Vec::new();
            while (read.len() as u64) < length {
                let at = read.len() as u64;
                let (part, end) = file.read(length - at, offset + at)?;
                read.extend(part);
                if end {
                    break;
                }
            }
            return Ok(format!("ok {} {}", read.len(), pattern::hash(&read)));
        }
        Operation::Remove { name } => dir.unlink_file_at(&name)?,
        Operation::Rename { from, to } => dir.rename_at(&from, dir, &to)?,
        Operation::Link { from, to } => dir.link_at(PathFlags::empty(), &from, dir, &to)?,
        Operation::Symlink { target, name } => dir.symlink_at(&target, &name)?,
        other => panic!("{other} is not an operation of wasi:filesystem"),
    }
    Ok("ok".to_owned())
}

fn open(
    dir: &Descriptor,
    name: &str,
    create: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    dir.open_at(PathFlags::empty(), name, create, flags)
}
