//! Calls on a handle that the standard library lacks.

use std::fs::{self, File};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::os::windows::io::AsRawHandle;

use windows::Win32::Foundation::HANDLE;
use windows::Win32::Storage::FileSystem::{BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle};
use windows::Win32::System::IO::DeviceIoControl;
use windows::Win32::System::Ioctl::FSCTL_SET_SPARSE;

use crate::platform::status::{FileId, Kind, Status};

pub(super) fn kind_of(file_type: fs::FileType) -> Kind {
    if file_type.is_symlink() {
        Kind::Symlink
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_file() {
        Kind::Regular
    } else {
        Kind::Other
    }
}

#[expect(unsafe_code, reason = "the standard library has no stable file index")]
pub(crate) fn status(file: &File) -> io::Result<Status> {
    let metadata = file.metadata()?;
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open during the call, which fills the structure.
    unsafe { GetFileInformationByHandle(HANDLE(file.as_raw_handle()), &mut information) }?;
    let modified = (metadata.last_write_time() as i64, 0);
    Ok(Status {
        id: FileId {
            device: information.dwVolumeSerialNumber.into(),
            inode: u64::from(information.nFileIndexHigh) << 32
                | u64::from(information.nFileIndexLow),
        },
        kind: kind_of(metadata.file_type()),
        size: metadata.len(),
        allocated: metadata.len(),
        block_size: 4096,
        links: information.nNumberOfLinks.into(),
        mode: 0,
        accessed: (metadata.last_access_time() as i64, 0),
        modified,
        changed: modified,
    })
}

/// Marks the file as sparse. On NTFS only such a file can have holes.
#[expect(unsafe_code, reason = "the standard library has no sparse files")]
pub(crate) fn prepare_sparse(file: &File) -> io::Result<()> {
    let mut returned = 0;
    // SAFETY: the handle is open during the call, which takes no buffer.
    let result = unsafe {
        DeviceIoControl(
            HANDLE(file.as_raw_handle()),
            FSCTL_SET_SPARSE,
            None,
            0,
            None,
            0,
            Some(&mut returned),
            None,
        )
    };
    // FAT has no sparse files. The copy is complete there, too.
    let _ = result;
    Ok(())
}
