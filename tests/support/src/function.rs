//! The two copy functions, with the options that select how bytes are moved.

use std::num::NonZero;
use std::path::Path;

use wasmtime_fast_copy::{CopyError, CopyOptions, CopyReport};

/// Copies by the calling thread only.
pub const ONE_WORKER: NonZero<usize> = NonZero::<usize>::MIN;

/// Copies by two threads, whatever the size.
pub const TWO_WORKERS: NonZero<usize> = NonZero::new(2).unwrap();

/// One of the two functions, with options for the number of threads and for cloning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Fast,
    Sparse,
    /// With two threads, whatever the size.
    SparseTwoThreads,
    /// Without a clone, as on a file system whose files can't share blocks: the kernel moves the bytes
    /// (`copy_file_range`) where it can.
    FastWithoutClone,
}

/// Both functions with their default number of threads: one for small files.
pub const BOTH: [Function; 2] = [Function::Fast, Function::Sparse];

/// Everything that moves bytes into a copy.
pub const ALL: [Function; 4] = [
    Function::Fast,
    Function::FastWithoutClone,
    Function::Sparse,
    Function::SparseTwoThreads,
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
            Function::SparseTwoThreads => options
                .clone()
                .max_workers(TWO_WORKERS)
                .sparse_copy(src, dst),
            Function::FastWithoutClone => {
                let limits = options.get_limits().clone().max_clone_extents(0);
                options.clone().limits(limits).fast_copy(src, dst)
            }
        }
    }
}
