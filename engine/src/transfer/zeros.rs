//! Blocks of zeros.

use std::ops::Range;

/// Returns the unit in which zeros are left out: the destination's block size if it is less than 4 KiB,
/// else 4 KiB. A unit smaller than a block does no harm. A larger one would fill holes, and network file
/// systems report their transfer size as block size, 64 KiB and more.
pub(super) fn zero_block(reported: u64) -> usize {
    match usize::try_from(reported) {
        Ok(size @ 512..4096) if size.is_power_of_two() => size,
        _ => 4096,
    }
}

/// Returns the runs of `bytes` that are not zeros, in whole blocks of the file. `offset` is the position
/// of `bytes` in the file.
pub(super) fn nonzero_runs(bytes: &[u8], offset: u64, block: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let to_boundary = block - ((offset + at as u64) % block as u64) as usize;
        let end = bytes.len().min(at + to_boundary);
        if !is_zero(&bytes[at..end]) {
            match runs.last_mut() {
                Some(run) if run.end == at => run.end = end,
                _ => runs.push(at..end),
            }
        }
        at = end;
    }
    runs
}

/// Compares a block with zeros, by `memcmp`, which is tuned in every libc.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block == &ZEROS[..block.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_blocks_of_the_file() {
        let mut bytes = vec![0; 40];
        assert!(nonzero_runs(&bytes, 0, 8).is_empty());
        bytes[9] = 1;
        bytes[17] = 1;
        bytes[39] = 1;
        assert_eq!(nonzero_runs(&bytes, 0, 8), [8..24, 32..40]);
        assert_eq!(nonzero_runs(&bytes, 4, 8), [4..20, 36..40]);
        assert_eq!(nonzero_runs(&bytes[..10], 0, 8).first(), Some(&(8..10)));
        assert!(nonzero_runs(&[], 5, 8).is_empty());
    }

    #[test]
    fn an_implausible_block_size_is_replaced_by_4096() {
        assert_eq!(zero_block(1024), 1024);
        for odd in [0, 1, 511, 3000, 4096, 65536, 1 << 20, u64::MAX] {
            assert_eq!(zero_block(odd), 4096);
        }
    }
}
