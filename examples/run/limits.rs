//! The limits of a guest's copies.

use std::num::NonZero;
use std::time::Duration;

use clap::Args;
use wasmtime_fast_copy::{CopyQuota, CopyRate, CopySlots, FastCopyCtx, FastCopyCtxBuilder};

use crate::size::parse_size;

#[derive(Args, Clone, Default, PartialEq)]
pub struct Limits {
    /// Limit the bytes that all copies may allocate, clones included [default: none]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    quota: Option<u64>,

    /// Limit the bytes that all copies read per second [default: none]
    #[arg(long, value_name = "SIZE", value_parser = parse_rate)]
    rate: Option<NonZero<u64>>,

    /// Limit the time that a copy may take once it runs [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    timeout: Option<Duration>,

    /// Limit how many copies run at once; others wait [default: 2]
    #[arg(long, value_name = "N", value_parser = parse_copies)]
    max_copies: Option<NonZero<usize>>,
}

impl Limits {
    /// Returns a builder with these limits.
    pub fn builder(&self) -> FastCopyCtxBuilder {
        let mut copies = FastCopyCtx::builder();
        if let Some(bytes) = self.quota {
            copies = copies.quota(CopyQuota::new(bytes));
        }
        if let Some(bytes_per_second) = self.rate {
            copies = copies.rate(CopyRate::new(bytes_per_second));
        }
        if let Some(time) = self.timeout {
            copies = copies.timeout(Some(time));
        }
        if let Some(number) = self.max_copies {
            // The process's slots limit it too, by default to 8.
            let number = number.get();
            copies = copies.max_copies(number).slots(CopySlots::new(number));
        }
        copies
    }
}

fn parse_rate(spelling: &str) -> Result<NonZero<u64>, String> {
    NonZero::new(parse_size(spelling)?).ok_or_else(|| "write 1 or more".to_owned())
}

fn parse_seconds(spelling: &str) -> Result<Duration, &'static str> {
    let seconds: Option<f64> = spelling.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or("write a number of seconds that is more than 0: 30 or 0.5")
}

fn parse_copies(spelling: &str) -> Result<NonZero<usize>, &'static str> {
    let number = spelling.parse();
    number.map_err(|_| "write a whole number that is at least 1")
}
