//! Every way that the engine can take from a source to its copy, each forced by options, and by
//! calls that strace makes fail.

use crate::filesystems::{FileSystem, has_fiemap, reflinks};
use crate::function::Function;
use crate::proofs::{self, Proof};

/// One way.
pub struct Way {
    pub name: &'static str,
    applies_to: fn(&str) -> bool,
    pub function: Function,
    pub options: &'static [&'static str],
    /// What strace does to the copy's calls, so that it comes this way.
    pub injections: &'static [&'static str],
    /// The file system is made to be one without files that have no name.
    pub named: bool,
    /// There is an old file, to be replaced.
    pub replaces: bool,
    /// The source is large enough for two threads.
    pub by_two: bool,
    /// Blocks of zeros are left out, also where they were written.
    pub digs: bool,
    /// The call that moves the bytes, or makes the clone.
    pub moves_by: &'static str,
    /// That a copy came this way, by its outcome and its calls.
    pub taken: Proof,
}

const PLAIN: Way = Way {
    name: "reading and writing",
    applies_to: |_| true,
    function: Function::Sparse,
    options: &["workers=1"],
    injections: &[],
    named: false,
    replaces: false,
    by_two: false,
    digs: false,
    moves_by: "pread64",
    taken: proofs::pumped,
};

const OFFLOAD: Way = Way {
    name: "offload",
    applies_to: has_fiemap,
    function: Function::FastWithoutClone,
    moves_by: "copy_file_range",
    taken: proofs::offloaded,
    ..PLAIN
};

const CLONE: Way = Way {
    name: "clone",
    applies_to: reflinks,
    function: Function::Fast,
    options: &[],
    moves_by: "ioctl",
    taken: proofs::cloned,
    ..PLAIN
};

const BY_TWO: Way = Way {
    name: "two threads",
    function: Function::SparseByTwo,
    options: &[],
    by_two: true,
    taken: proofs::pumped_by_two,
    ..PLAIN
};

pub const WAYS: &[Way] = &[
    CLONE,
    OFFLOAD,
    PLAIN,
    Way {
        name: "offload refused at its first byte",
        injections: &["copy_file_range:error=EXDEV"],
        moves_by: "pread64",
        taken: proofs::pumped_after_a_refusal,
        ..OFFLOAD
    },
    Way {
        name: "offload refused half way",
        injections: &["copy_file_range:error=EXDEV:when=2+"],
        moves_by: "pread64",
        taken: proofs::offloaded_then_pumped,
        ..OFFLOAD
    },
    BY_TWO,
    Way {
        name: "two threads of a fast copy",
        function: Function::FastWithoutClone,
        options: &["workers=2"],
        ..BY_TWO
    },
    Way {
        name: "without a map of the source",
        injections: &["lseek:error=EINVAL"],
        digs: true,
        taken: proofs::all_read,
        ..PLAIN
    },
    Way {
        name: "digging holes",
        function: Function::FastWithoutClone,
        options: &["workers=1", "dig-holes"],
        digs: true,
        ..PLAIN
    },
    Way {
        name: "staged under a name",
        named: true,
        taken: proofs::staged_under_a_name,
        ..PLAIN
    },
    Way {
        name: "staged under a name, over an old file",
        named: true,
        replaces: true,
        options: &["workers=1", "replace"],
        taken: proofs::staged_under_a_name,
        ..PLAIN
    },
    Way {
        name: "clone staged under a name",
        named: true,
        taken: proofs::cloned_under_a_name,
        ..CLONE
    },
    Way {
        name: "over an old file",
        replaces: true,
        options: &["workers=1", "replace"],
        taken: proofs::passed_through_a_name,
        ..PLAIN
    },
];

impl Way {
    pub fn clones(&self) -> bool {
        self.moves_by == "ioctl"
    }

    /// Whether other ways are made of this one.
    pub fn is_a_part_of_others(&self) -> bool {
        [PLAIN.name, OFFLOAD.name, CLONE.name].contains(&self.name)
    }

    /// Whether a kill may leave the one name that the contract grants.
    pub fn passes_through_a_name(&self) -> bool {
        self.named || self.replaces
    }
}

/// All ways that a file system knows.
pub fn ways_on(fs: &FileSystem) -> impl Iterator<Item = &'static Way> {
    let name = fs.name;
    WAYS.iter().filter(move |way| (way.applies_to)(name))
}
