//! Guests that copy one file at the same time, each in a store of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fast_copy_test_support::command::Form;
use fast_copy_test_support::guest_host::{Guest, Preopen, run_to_end};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wasmtime_fast_copy::{CopyQuota, CopySlots, FastCopyCtx};

/// The path of the base image.
pub const BASE: &str = "bases/base";
/// The directory of the copies.
pub const CLONES: &str = "clones";

const SLOTS: usize = 8;
/// The limit on the time that a call waits, and that it works.
const TIMEOUT: Duration = Duration::from_secs(300);

pub struct Crowd {
    pub dir: PathBuf,
    guests: usize,
}

/// How the copies of a crowd ended.
#[derive(Default)]
pub struct Ended {
    pub guests: u64,
    /// The names of the copies that were made.
    pub copied: Vec<String>,
    pub source_changed: u64,
    pub violations: Vec<String>,
}

impl Crowd {
    /// Makes the directories of the base and of the copies.
    pub fn new(dir: &Path, guests: usize) -> Self {
        fs::create_dir(dir.join("bases")).unwrap();
        fs::create_dir(dir.join(CLONES)).unwrap();
        Self {
            dir: dir.to_owned(),
            guests,
        }
    }

    /// Lets all guests copy the base.
    pub fn copy(&self) -> Ended {
        let slots = CopySlots::new(SLOTS);
        let quota = CopyQuota::new(u64::MAX);
        let ctx = FastCopyCtx::builder()
            .slots(slots.clone())
            .quota(quota.clone())
            .wait_timeout(Some(TIMEOUT))
            .timeout(Some(TIMEOUT));
        let runtime = Runtime::new().unwrap();
        let mut ended = Ended {
            guests: self.guests as u64,
            ..Ended::default()
        };
        runtime.block_on(async {
            let start = Arc::new(Barrier::new(self.guests));
            let mut guests = JoinSet::new();
            for number in 0..self.guests {
                let form = if number % 2 == 0 {
                    Form::Async
                } else {
                    Form::P3
                };
                let (dir, copies, start) = (self.dir.clone(), ctx.clone().build(), start.clone());
                guests.spawn(async move {
                    start.wait().await;
                    let dirs = [Preopen::writable(&dir, ".")];
                    let name = format!("clone-{number}");
                    let dst = format!("{CLONES}/{name}");
                    let args = ["fast-copy", ".", BASE, ".", &dst, ""];
                    (
                        name,
                        run_to_end(Guest::Probe, form, &dirs, &args, copies).await,
                    )
                });
            }
            while let Some(guest) = guests.join_next().await {
                let (name, output) = guest.unwrap();
                let exists = self.dir.join(CLONES).join(&name).exists();
                match output {
                    Ok(output) if output.stdout.starts_with("ok ") => ended.copied.push(name),
                    Ok(output) if output.stdout.contains("SourceChanged") && !exists => {
                        ended.source_changed += 1;
                    }
                    other => ended
                        .violations
                        .push(format!("{name}: {other:?}, exists: {exists}")),
                }
            }
        });
        drop(runtime);
        if slots.free() != SLOTS || quota.reserved() != 0 {
            let (free, reserved) = (slots.free(), quota.reserved());
            ended.violations.push(format!(
                "{free} slots are free, {reserved} bytes are reserved"
            ));
        }
        if (quota.used() == 0) != ended.copied.is_empty() {
            ended
                .violations
                .push(format!("{} bytes are charged", quota.used()));
        }
        ended
    }
}
