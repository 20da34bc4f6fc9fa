//! Random numbers.

/// Returns a function that returns a random number below its argument.
pub fn chance(mut seed: u64) -> impl FnMut(usize) -> usize {
    // xorshift64: any full-period generator will do.
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    }
}
