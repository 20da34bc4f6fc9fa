//! `std::task`, and what the host uses of `tokio::task`.

pub use system::task::{Context, Poll, Wake, Waker};

/// Returns the future: outside of a runtime of tokio, tokio does not limit how much a task does.
pub fn unconstrained<F>(future: F) -> F {
    future
}
