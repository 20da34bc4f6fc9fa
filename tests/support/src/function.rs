//! The functions that copy, each with the options that choose how the bytes are moved.

use std::path::Path;

use wasmtime_fast_copy::{CopyError, CopyOptions, CopyReport};

/// Which of the two functions, and by how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Fast,
    Sparse,
    /// By two threads, however little there is to move.
    SparseByTwo,
    /// As on a file system whose files can't share blocks. Where a fast copy would clone, the kernel
    /// moves the bytes.
    FastWithoutClone,
}

/// Both functions, with as many threads as they choose: one for small files.
pub const BOTH: [Function; 2] = [Function::Fast, Function::Sparse];

/// All ways in which bytes come into a copy.
pub const ALL: [Function; 4] = [
    Function::Fast,
    Function::FastWithoutClone,
    Function::Sparse,
    Function::SparseByTwo,
];

impl Function {
    /// Returns the function whose `Debug` output is `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|known| format!("{known:?}") == name)
    }

    pub fn call(
        self,
        options: &CopyOptions,
        src: &Path,
        dst: &Path,
    ) -> Result<CopyReport, CopyError> {
        match self {
            Function::Fast => options.fast_copy(src, dst),
            Function::Sparse => options.sparse_copy(src, dst),
            Function::SparseByTwo => options.clone().workers(2).sparse_copy(src, dst),
            Function::FastWithoutClone => {
                let limits = options.get_limits().clone().max_clone_extents(0);
                options.clone().limits(limits).fast_copy(src, dst)
            }
        }
    }
}
