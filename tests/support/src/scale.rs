//! The short and the long form of a test.

/// The environment variable that selects the long form.
const LONG: &str = "FAST_COPY_LONG";

/// Returns a count or a size for the form that runs.
pub fn scaled(long: usize, short: usize) -> usize {
    match std::env::var_os(LONG) {
        Some(_) => long,
        None => short,
    }
}
