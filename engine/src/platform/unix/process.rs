//! Limits of the process.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Returns how large this process may make a file, in bytes (`RLIMIT_FSIZE`): [`u64::MAX`] if there is no
/// limit, or if the query is refused.
///
/// A seccomp filter can refuse the query. rustix assumes that it can't fail.
#[expect(unsafe_code, reason = "no dependency has a getrlimit that can fail")]
#[expect(
    clippy::useless_conversion,
    reason = "the type of the limit differs between systems"
)]
pub(crate) fn process_file_size_limit() -> u64 {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is valid for a write of this type.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) };
    if result != 0 {
        return u64::MAX;
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let current = unsafe { limit.assume_init() }.rlim_cur;
    match current == libc::RLIM_INFINITY {
        true => u64::MAX,
        false => current.into(),
    }
}

/// Fails if the process can't map `bytes` more of memory (`RLIMIT_AS`, strict overcommit).
#[expect(unsafe_code, reason = "mapping memory is unsafe")]
pub(crate) fn check_memory(bytes: usize) -> io::Result<()> {
    let (access, kind) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: the kernel chooses the address, so no other mapping is replaced. Nothing refers to the
    // mapping, so it can be removed.
    unsafe {
        let mapped = mmap_anonymous(ptr::null_mut(), bytes, access, kind)?;
        // If it fails, address space is lost, and no more.
        let _ = munmap(mapped, bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_cannot_be_mapped_is_an_error() {
        assert!(check_memory(4 << 20).is_ok());
        assert!(check_memory(usize::MAX / 2).is_err());
    }
}
