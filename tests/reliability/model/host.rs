//! The operations of the host.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FallocateFlags, FileType, Mode, fallocate, mknodat};

use super::operation::Operation;
use super::pattern;
use super::state::{Entry, State};

/// Does an operation, also in the model. Returns the name to compare, or none if the operation does not apply to
/// what has the name.
pub fn run(root: &Path, state: &mut State, operation: Operation) -> io::Result<Option<String>> {
    let open = |name: &str| File::options().read(true).write(true).open(root.join(name));
    match operation {
        Operation::Fifo { name } => {
            if state.entry(&name).is_some() {
                return Ok(None);
            }
            mknodat(
                CWD,
                root.join(&name),
                FileType::Fifo,
                Mode::RUSR | Mode::WUSR,
                0,
            )?;
            state.names.insert(name.clone(), Entry::Fifo);
            Ok(Some(name))
        }
        Operation::SetMode { name, mode } => {
            let Some(file) = state.file_named_mut(&name) else {
                return Ok(None);
            };
            fs::set_permissions(root.join(&name), PermissionsExt::from_mode(mode))?;
            file.mode = mode;
            Ok(Some(name))
        }
        Operation::Sync { name } => {
            if state.file_named(&name).is_none() {
                return Ok(None);
            }
            open(&name)?.sync_all()?;
            Ok(Some(name))
        }
        Operation::Punch {
            name,
            offset,
            length,
        } => {
            let Some(file) = state.file_named_mut(&name) else {
                return Ok(None);
            };
            let end = (offset + length).min(file.size());
            if offset >= end {
                return Ok(None);
            }
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(open(&name)?, flags, offset, end - offset)?;
            file.punch(offset..end);
            Ok(Some(name))
        }
        Operation::Allocate {
            name,
            offset,
            length,
            keep_size,
        } => {
            let Some(file) = state.file_named_mut(&name) else {
                return Ok(None);
            };
            let flags = match keep_size {
                true => FallocateFlags::KEEP_SIZE,
                false => FallocateFlags::empty(),
            };
            fallocate(open(&name)?, flags, offset, length)?;
            file.allocate(offset..offset + length, keep_size);
            Ok(Some(name))
        }
        Operation::Store {
            name,
            offset,
            length,
            seed,
        } => {
            let Some(file) = state.file_named_mut(&name) else {
                return Ok(None);
            };
            let end = (offset + length).min(file.size());
            if offset >= end {
                return Ok(None);
            }
            let bytes = pattern::bytes(seed, end - offset);
            store(&open(&name)?, offset, &bytes)?;
            file.store(offset, &bytes);
            Ok(Some(name))
        }
        other => unreachable!("the guest does {other}"),
    }
}

/// Writes through a shared mapping. The pages stay dirty.
#[expect(unsafe_code, reason = "no safe interface maps a file")]
fn store(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: no other thread or process changes the size of the file, and nothing else refers to the mapping.
    let mut mapping = unsafe { memmap2::MmapMut::map_mut(file) }?;
    let start = offset as usize;
    mapping[start..start + bytes.len()].copy_from_slice(bytes);
    Ok(())
}

/// Returns the umask of this process.
pub fn umask() -> u32 {
    static UMASK: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        u32::from_str_radix(line.unwrap().trim(), 8).unwrap()
    });
    *UMASK
}
