//! Locking without poisoning.
//!
//! The data behind these locks is consistent between any two statements, so a thread that panicked
//! while it held one has broken nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
