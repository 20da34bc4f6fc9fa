//! How far a copy is.

use fast_copy_engine::CopyControl;

/// The progress of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) copied: u64,
    /// None until the copy begins.
    pub(crate) total: Option<u64>,
}

impl Progress {
    pub(crate) fn of(control: &CopyControl) -> Self {
        Self {
            copied: control.copied(),
            total: control.total(),
        }
    }
}
