use system::sync;

use crate::step;

#[derive(Debug)]
pub struct OnceLock<T>(sync::OnceLock<T>);

impl<T> OnceLock<T> {
    pub const fn new() -> Self {
        Self(sync::OnceLock::new())
    }

    pub fn get(&self) -> Option<&T> {
        step();
        self.0.get()
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        step();
        self.0.set(value)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}
