//! The engine's strategies: how it stages a copy and moves its bytes. Options and injected errors force
//! each of them.

use crate::features::Feature::{self, BlockMap, CopyFileRange, NoReplace, Reflinks, UnnamedFiles};
use crate::filesystems::FileSystem;
use crate::function::Function;
use crate::trace_checks::{self, TraceCheck};

/// One strategy.
pub struct Strategy {
    pub name: &'static str,
    /// What the file system needs.
    needs: &'static [Feature],
    pub function: Function,
    pub options: &'static [&'static str],
    /// The injections that force it.
    pub injections: &'static [&'static str],
    /// `O_TMPFILE` is made to fail.
    pub named: bool,
    /// There is a file at the destination.
    pub replaces: bool,
    /// Two threads move the bytes, so the source must be large enough.
    pub two_threads: bool,
    /// Blocks of zeros become holes, also where zeros were written.
    pub digs: bool,
    /// The system call that moves the bytes or makes the clone.
    pub moves_by: &'static str,
    /// Checks that a copy used this strategy.
    pub check: TraceCheck,
}

const PLAIN: Strategy = Strategy {
    name: "reading and writing",
    needs: &[],
    function: Function::Sparse,
    options: &["workers=1"],
    injections: &[],
    named: false,
    replaces: false,
    two_threads: false,
    digs: false,
    moves_by: "pread64",
    check: trace_checks::read_and_written,
};

const OFFLOAD: Strategy = Strategy {
    name: "offload",
    needs: &[BlockMap, CopyFileRange],
    function: Function::FastWithoutClone,
    moves_by: "copy_file_range",
    check: trace_checks::offloaded,
    ..PLAIN
};

const CLONE: Strategy = Strategy {
    name: "clone",
    needs: &[Reflinks],
    function: Function::Fast,
    options: &[],
    moves_by: "ioctl",
    check: trace_checks::cloned,
    ..PLAIN
};

const TWO_THREADS: Strategy = Strategy {
    name: "two threads",
    function: Function::SparseTwoThreads,
    options: &[],
    two_threads: true,
    check: trace_checks::read_and_written_by_two,
    ..PLAIN
};

pub const STRATEGIES: &[Strategy] = &[
    CLONE,
    OFFLOAD,
    PLAIN,
    Strategy {
        name: "offload refused at its first byte",
        injections: &["copy_file_range:error=EXDEV"],
        moves_by: "pread64",
        check: trace_checks::read_and_written_after_a_refusal,
        ..OFFLOAD
    },
    Strategy {
        name: "offload refused midway",
        injections: &["copy_file_range:error=EXDEV:when=2+"],
        moves_by: "pread64",
        check: trace_checks::offloaded_then_written,
        ..OFFLOAD
    },
    TWO_THREADS,
    Strategy {
        name: "two threads of a fast copy",
        function: Function::FastWithoutClone,
        options: &["workers=2"],
        ..TWO_THREADS
    },
    Strategy {
        name: "without SEEK_DATA",
        injections: &["lseek:error=EINVAL"],
        digs: true,
        check: trace_checks::all_read,
        ..PLAIN
    },
    Strategy {
        name: "digging holes",
        function: Function::FastWithoutClone,
        options: &["workers=1", "dig-holes"],
        digs: true,
        ..PLAIN
    },
    Strategy {
        name: "staged under a name",
        needs: &[NoReplace],
        named: true,
        check: trace_checks::staged_under_a_name,
        ..PLAIN
    },
    Strategy {
        name: "staged under a name, replacing",
        named: true,
        replaces: true,
        options: &["workers=1", "replace"],
        check: trace_checks::staged_under_a_name,
        ..PLAIN
    },
    Strategy {
        name: "clone staged under a name",
        needs: &[Reflinks, NoReplace],
        named: true,
        check: trace_checks::cloned_under_a_name,
        ..CLONE
    },
    Strategy {
        name: "replacing",
        needs: &[UnnamedFiles],
        replaces: true,
        options: &["workers=1", "replace"],
        check: trace_checks::replaced_through_a_link,
        ..PLAIN
    },
];

impl Strategy {
    pub fn clones(&self) -> bool {
        self.moves_by == "ioctl"
    }

    /// Whether the other strategies are made of this one.
    pub fn is_basic(&self) -> bool {
        [PLAIN.name, OFFLOAD.name, CLONE.name].contains(&self.name)
    }

    /// Whether a kill may leave a staging name, as the contract allows.
    pub fn may_leave_a_name(&self) -> bool {
        self.named || self.replaces
    }
}

/// Returns the strategies that apply to a file system.
pub fn strategies_on(fs: &FileSystem) -> impl Iterator<Item = &'static Strategy> {
    STRATEGIES.iter().filter(|strategy| {
        let has_all = strategy.needs.iter().all(|&feature| fs.has(feature));
        has_all && (strategy.clones() || !fs.clones(strategy.function))
    })
}
