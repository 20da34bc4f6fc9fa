//! One round: a directory, a guest, and a list of operations.

use fast_copy_test_support::command::{self, Form};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::guest_host::Guest;
use wasmtime_fast_copy::{CopyQuota, CopySlots, FastCopyCtx};
use wasmtime_wasi::{FsPerms, WasiCtx};

use super::channel::Channel;
use super::driver::{Counts, Driver, Failure, Place};
use super::operation::Operation;
use super::state::DIRECTORY;

/// Does the operations. Returns what was tried, and the first failure.
pub fn run(fs: &FileSystem, form: Form, operations: Vec<Operation>) -> (Counts, Option<Failure>) {
    let dir = fs.dir();
    std::fs::create_dir(dir.path().join(DIRECTORY)).unwrap();
    let (quota, slots) = (CopyQuota::new(u64::MAX), CopySlots::new(8));
    let copies = FastCopyCtx::builder()
        .quota(quota.clone())
        .slots(slots.clone())
        .max_copies(4);
    let place = Place {
        root: dir.path().to_owned(),
        kind: fs.kind.clone(),
        reflinks: fs.reflinks(),
        quota,
        slots,
    };
    let channel = Channel::new(Driver::new(place, operations));
    let mut wasi = WasiCtx::builder();
    // The threads that wait for files are not what is tested, and take most of the time.
    wasi.allow_blocking_current_thread(true);
    wasi.stdin(channel.clone())
        .stdout(channel.clone())
        .inherit_stderr();
    wasi.preopened_dir(dir.path(), ".", FsPerms::ReadWrite)
        .unwrap();
    let component = Guest::Model.component(form);
    let status = command::run(
        component.engine(),
        component,
        wasi.build(),
        copies.build(),
        form,
    );
    channel.with(|driver| {
        match status {
            Ok(0) => {}
            other => driver.fail(format!("the guest has ended: {other:#?}")),
        }
        (driver.counts, driver.failure.clone())
    })
}
