//! Sets of blocks of a file.

use std::ops::Range;

/// The block size of all file systems that are tested, in bytes.
pub const BLOCK: u64 = 4096;

/// The largest size of a file, in bytes.
pub const MOST: u64 = BLOCK * u128::BITS as u64;

/// A set of blocks: one bit for each.
pub type Blocks = u128;

/// Returns the blocks that a range of bytes touches.
pub fn touched(range: Range<u64>) -> Blocks {
    match range.is_empty() {
        true => 0,
        false => between(range.start / BLOCK, range.end.div_ceil(BLOCK)),
    }
}

/// Returns the blocks that a range of bytes covers.
pub fn covered(range: Range<u64>) -> Blocks {
    between(range.start.div_ceil(BLOCK), range.end / BLOCK)
}

fn between(first: u64, end: u64) -> Blocks {
    let below = |block: u64| match block {
        0..128 => (1 << block) - 1,
        _ => Blocks::MAX,
    };
    below(end) & !below(first)
}

/// Returns the blocks at most `distance` away from those of a set.
pub fn around(blocks: Blocks, distance: u32) -> Blocks {
    (0..distance).fold(blocks, |blocks, _| blocks | blocks << 1 | blocks >> 1)
}

/// Returns the blocks with a byte that is not zero.
pub fn not_zero(bytes: &[u8]) -> Blocks {
    let chunks = bytes.chunks(BLOCK as usize).enumerate();
    chunks.fold(0, |blocks, (number, chunk)| {
        let is_zero = chunk.iter().all(|&byte| byte == 0);
        blocks | Blocks::from(!is_zero) << number
    })
}

/// Returns how many bytes of a file of this size are in the blocks.
pub fn bytes_in(blocks: Blocks, size: u64) -> u64 {
    let inside = touched(0..size);
    let bytes = u64::from((blocks & inside).count_ones()) * BLOCK;
    match blocks & (touched(0..size) & !covered(0..size)) {
        0 => bytes,
        _ => bytes - (BLOCK - size % BLOCK),
    }
}
