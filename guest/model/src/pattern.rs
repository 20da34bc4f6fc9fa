//! The bytes that operations write. The guest and the host's model make the same ones.

/// Returns the bytes of a write. Those of every fourth seed are zeros.
pub fn bytes(seed: u64, length: u64) -> Vec<u8> {
    if seed.is_multiple_of(4) {
        return vec![0; length as usize];
    }
    let mut bytes = Vec::with_capacity(length as usize + 8);
    let mut state = seed;
    while bytes.len() < length as usize {
        // splitmix64, with a byte of every word that is not zero.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend((word ^ (word >> 31) | 1).to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes
}

/// Returns a hash of what a guest has read (FNV-1a, by words of 8 bytes).
pub fn hash(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(0xCBF2_9CE4_8422_2325, |hash, word| {
        (hash ^ word).wrapping_mul(0x0100_0000_01B3).rotate_left(29)
    })
}
