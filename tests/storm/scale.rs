//! The short and the long form of the tests.

/// Returns a count or a size for the form that runs.
pub fn scaled(long: usize, short: usize) -> usize {
    match std::env::var_os("FAST_COPY_LONG") {
        Some(_) => long,
        None => short,
    }
}
