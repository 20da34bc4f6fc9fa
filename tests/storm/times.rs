//! The short form and the long one.

/// How often something is done: the long form, or the short one.
pub fn times(long: usize, short: usize) -> usize {
    match std::env::var_os("FAST_COPY_LONG") {
        Some(_) => long,
        None => short,
    }
}
