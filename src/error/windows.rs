//! Error numbers on Windows.

use super::ErrorCode;

/// Returns none: the [`io::ErrorKind`](std::io::ErrorKind) decides.
pub(super) fn code(_number: i32) -> Option<ErrorCode> {
    None
}
