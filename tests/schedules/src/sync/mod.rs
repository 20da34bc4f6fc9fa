//! `std::sync` and `tokio::sync`, with a step before each operation.

pub use shuttle::sync::{Mutex, MutexGuard};
pub use system::sync::{Arc, LazyLock, PoisonError, Weak};

pub mod atomic;
pub mod mpsc;
mod once_lock;
mod tokio;

pub use once_lock::OnceLock;
pub use tokio::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
