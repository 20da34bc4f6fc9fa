//! `std::sync::atomic`.

pub use system::sync::atomic::Ordering;

use crate::step;

macro_rules! stepped {
    ($name:ident($value:ty) { $($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)* }) => {
        #[derive(Debug, Default)]
        pub struct $name(system::sync::atomic::$name);

        impl $name {
            pub const fn new(value: $value) -> Self {
                Self(system::sync::atomic::$name::new(value))
            }

            $(
                pub fn $method(&self, $($argument: $type),*) -> $result {
                    step();
                    self.0.$method($($argument),*)
                }
            )*
        }
    };
}

stepped!(AtomicBool(bool) {
    load(order: Ordering) -> bool;
    store(value: bool, order: Ordering) -> ();
});

stepped!(AtomicU8(u8) {
    load(order: Ordering) -> u8;
    compare_exchange(from: u8, to: u8, success: Ordering, failure: Ordering) -> Result<u8, u8>;
    fetch_update(success: Ordering, failure: Ordering, change: impl FnMut(u8) -> Option<u8>) -> Result<u8, u8>;
});

stepped!(AtomicU64(u64) {
    load(order: Ordering) -> u64;
    fetch_add(value: u64, order: Ordering) -> u64;
});

stepped!(AtomicUsize(usize) {
    load(order: Ordering) -> usize;
    fetch_sub(value: usize, order: Ordering) -> usize;
    fetch_update(success: Ordering, failure: Ordering, change: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize>;
});
