//! The states of a source: what each block holds, and how each operation of a writer changes that.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// The block size of the file systems, in bytes. Files are written in whole blocks.
pub const BLOCK: usize = 4096;

/// What a block holds: one number in its first eight bytes, and one that is repeated in all others. A `write`
/// changes both, a store through a mapping the first only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub first: u64,
    pub rest: u64,
}

impl Block {
    pub const ZERO: Self = Self::stamped(0);

    /// Returns a block that holds one number only.
    pub const fn stamped(stamp: u64) -> Self {
        Self {
            first: stamp,
            rest: stamp,
        }
    }
}

/// What a file holds.
pub type State = Vec<Block>;

/// An operation of a writer on blocks of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `write` of one or more blocks, which all hold the stamp afterwards.
    Write { blocks: Range<usize>, stamp: u64 },
    /// A store to the first eight bytes of a block, through a mapping.
    Store { block: usize, stamp: u64 },
    /// `fallocate` that punches a hole, or that makes a range zero.
    Clear { block: usize },
    /// `fallocate` that removes a block, so that all blocks after it move.
    Collapse { block: usize },
    /// `fallocate` that inserts a hole.
    Insert { block: usize },
    /// `ftruncate`.
    Resize { blocks: usize },
}

impl Operation {
    pub fn apply(&self, state: &mut State) {
        match self {
            Self::Write { blocks, stamp } => {
                if state.len() < blocks.end {
                    state.resize(blocks.end, Block::ZERO);
                }
                state[blocks.clone()].fill(Block::stamped(*stamp));
            }
            Self::Store { block, stamp } => state[*block].first = *stamp,
            Self::Clear { block } => state[*block] = Block::ZERO,
            Self::Collapse { block } => drop(state.remove(*block)),
            Self::Insert { block } => state.insert(*block, Block::ZERO),
            Self::Resize { blocks } => state.resize(*blocks, Block::ZERO),
        }
    }
}

/// Reads the state of a file. Fails if a block was written in part only.
pub fn read(path: &Path) -> Result<State, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    if bytes.len() % BLOCK != 0 {
        return Err(format!("its size is {}, no whole blocks", bytes.len()));
    }
    let blocks = bytes.chunks_exact(BLOCK).enumerate();
    blocks
        .map(|(number, bytes)| {
            let (words, _) = bytes.as_chunks::<8>();
            let is_uniform = words[1..].iter().all(|word| word == &words[1]);
            match is_uniform {
                true => Ok(Block {
                    first: u64::from_ne_bytes(words[0]),
                    rest: u64::from_ne_bytes(words[1]),
                }),
                false => Err(format!("block {number} was written in part")),
            }
        })
        .collect()
}

/// Returns the bytes of blocks that hold these numbers.
pub fn bytes(state: &[Block]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(state.len() * BLOCK);
    for block in state {
        bytes.extend(block.first.to_ne_bytes());
        for _ in 1..BLOCK / 8 {
            bytes.extend(block.rest.to_ne_bytes());
        }
    }
    bytes
}
