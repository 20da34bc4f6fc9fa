//! Waits for what a test does meanwhile: it creates or removes a file.

use front::{Descriptor, WasiErrorCode};
use wasip3::clocks::monotonic_clock::wait_for;

/// The time between two looks, in nanoseconds.
const LOOK: u64 = 1_000_000;

pub async fn wait_until_present(dir: &Descriptor, file: &str) {
    while !exists(dir, file).await {
        wait_for(LOOK).await;
    }
}

pub async fn wait_until_absent(dir: &Descriptor, file: &str) {
    while exists(dir, file).await {
        wait_for(LOOK).await;
    }
}

async fn exists(dir: &Descriptor, file: &str) -> bool {
    match front::stat(dir, file.to_owned()).await {
        Ok(()) => true,
        Err(WasiErrorCode::NoEntry) => false,
        Err(code) => panic!("{file}: {code:?}"),
    }
}
