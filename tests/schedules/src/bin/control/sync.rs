//! `std::sync`, of loom.

pub use system::sync::Arc;

pub mod atomic {
    pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
}

use atomic::{AtomicBool, Ordering};

/// A cell that is set once. Whoever sees the value also sees what came before it was set.
#[derive(Debug, Default)]
pub struct OnceLock<T> {
    is_set: AtomicBool,
    value: system::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub fn get(&self) -> Option<&T> {
        match self.is_set.load(Ordering::Acquire) {
            true => self.value.get(),
            false => None,
        }
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        match self.is_set.compare_exchange(false, true, success, failure) {
            // No other thread of the model runs before the value is there.
            Ok(_) => self.value.set(value),
            Err(_) => Err(value),
        }
    }
}
