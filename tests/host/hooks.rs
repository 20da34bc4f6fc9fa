//! Hooks: what they receive, and what they can refuse.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::sync::copy::Host as _;
use wasmtime_fast_copy::p2::bindings::sync::jobs::{Host as _, HostCopyJob as _};
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, CopyMethod, ErrorCode};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyQuota, CopyReport, CopyRequest, CopySlots, CopyTimes,
    Decision, FastCopyCtx,
};

use crate::gate::Gate;

#[tokio::test]
async fn hooks_are_called_for_each_copy_and_can_refuse_it() {
    let (gate, seen, go) = Gate::new(Some("secret"));
    let mut state = State::new().with(FastCopyCtx::builder().hooks(gate));
    fs::write(state.path("src"), "text").unwrap();
    fs::write(state.path("secret"), "text").unwrap();
    drop(go);
    let answer = state
        .sparse_copy_async("src", "dst", CopyFlags::empty())
        .await;
    assert!(answer.unwrap().is_ok());
    let answer = state
        .sparse_copy_async("secret", "dst", CopyFlags::REPLACE)
        .await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::NotPermitted
    ));
    let answer = state
        .sparse_copy_async("src", "dst", CopyFlags::empty())
        .await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::Exist
    ));
    let seen: Vec<_> = seen.try_iter().collect();
    assert_eq!(
        seen,
        [
            "asked src -> dst, 4",
            "started, 0",
            "ended, 4",
            "asked secret -> dst, 4",
            "asked src -> dst, 4",
            "started, 0",
            "ended: opening (destination): already exists (set replace to overwrite it)",
        ]
    );
}

/// Hooks that record their calls as text, and panic if told to.
#[derive(Default)]
struct Record {
    calls: Mutex<Vec<String>>,
    panics: bool,
}

impl CopyHooks for Record {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        let CopyRequest {
            may_share,
            src_perms,
            dst_perms,
            replace,
            durable,
            ..
        } = request;
        assert!(!self.panics, "a panic in a hook");
        assert!(request.allocated >= request.size);
        self.calls.lock().unwrap().push(format!(
            "share {may_share}, {src_perms:?} to {dst_perms:?}, replace {replace}, durable {durable}"
        ));
        Decision::Allow
    }

    fn progress(&self, request: &CopyRequest<'_>, copied: u64) {
        assert!(copied <= request.size);
        self.calls.lock().unwrap().push(copied.to_string());
    }

    fn ended(
        &self,
        _: &CopyRequest<'_>,
        result: Result<&CopyReport, &CopyError>,
        times: CopyTimes,
    ) {
        assert!(result.is_ok() && times.worked > Duration::ZERO);
    }
}

#[tokio::test]
async fn hooks_receive_the_request_and_its_progress() {
    let hooks = Arc::new(Record::default());
    let mut state = State::new().with(FastCopyCtx::builder().hooks(hooks.clone()));
    let size: u64 = 40 << 20;
    dense_file(&state.path("src"), size);
    std::fs::File::open(state.path("src"))
        .unwrap()
        .sync_all()
        .unwrap();
    let flags = CopyFlags::REPLACE | CopyFlags::NO_SYNC;
    let answer = state.sparse_copy("src", "dst", flags);
    assert!(answer.unwrap().is_ok());
    let mut calls = hooks.calls.lock().unwrap().clone();
    assert_eq!(
        calls.remove(0),
        "share false, ReadWrite to ReadWrite, replace true, durable false"
    );
    let mut copied: Vec<u64> = calls.iter().map(|bytes| bytes.parse().unwrap()).collect();
    // Two threads may call the hook in another order than they count.
    copied.sort_unstable();
    assert_eq!(copied.last(), Some(&size));
    assert!(copied.len() as u64 >= size.div_ceil(16 << 20), "{copied:?}");
}

/// Allows copies without shared blocks, and reports whether later hooks see that.
struct WithoutSharing {
    may_share: mpsc::Sender<bool>,
}

impl CopyHooks for WithoutSharing {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        self.may_share.send(request.may_share).unwrap();
        Decision::AllowWithoutSharing
    }

    fn started(&self, request: &CopyRequest<'_>, _: &CopyControl) {
        self.may_share.send(request.may_share).unwrap();
    }
}

#[test]
fn a_copy_allowed_without_sharing_with_require_reflink_is_unsupported() {
    let (may_share, seen) = mpsc::channel();
    let ctx = FastCopyCtx::builder().hooks(WithoutSharing { may_share });
    let mut state = State::new().with(ctx);
    fs::write(state.path("src"), "text").unwrap();
    let answer = state.fast_copy("src", "dst", CopyFlags::REQUIRE_REFLINK);
    assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Unsupported);
    assert!(!state.path("dst").exists());
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true]);

    let answer = state.fast_copy("src", "dst", CopyFlags::empty());
    assert_eq!(answer.unwrap().unwrap().method, CopyMethod::Copy);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true, false]);
}

/// The time of a hook counts for the copy.
#[test]
fn a_copy_that_times_out_after_its_last_byte_is_not_published() {
    struct Slow;
    impl CopyHooks for Slow {
        fn progress(&self, request: &CopyRequest<'_>, copied: u64) {
            if copied == request.size {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
    }
    let ctx = FastCopyCtx::builder().hooks(Slow);
    let ctx = ctx.timeout(Some(Duration::from_millis(300)));
    let mut state = State::new().with(ctx);
    dense_file(&state.path("src"), 1 << 20);
    let answer = state.sparse_copy("src", "dst", CopyFlags::NO_SYNC);
    let error = answer.unwrap().unwrap_err();
    assert!(matches!(error.code, ErrorCode::Timeout));
    assert!(!state.path("dst").exists());
}

/// The panic reaches the caller.
#[test]
fn a_panic_in_a_hook_frees_the_slot_and_the_quota() {
    let slots = CopySlots::new(1);
    let quota = CopyQuota::new(1 << 20);
    let hooks = Record {
        panics: true,
        ..Record::default()
    };
    let ctx = FastCopyCtx::builder().slots(slots.clone()).hooks(hooks);
    let mut state = State::new().with(ctx.quota(quota.clone()));
    fs::write(state.path("src"), "text").unwrap();
    let flags = CopyFlags::empty();
    for in_job in [false, true] {
        let (src, dst) = (state.borrow(), state.borrow());
        let mut view = state.view();
        let call = AssertUnwindSafe(|| match in_job {
            false => {
                let answer = view.sparse_copy(src, "src".into(), dst, "dst".into(), flags);
                answer.map(drop)
            }
            true => {
                let job = view.start_fast_copy(src, "src".into(), dst, "dst".into(), flags);
                view.finish(job.unwrap().unwrap()).map(drop)
            }
        });
        assert!(catch_unwind(call).is_err());
        assert_eq!((slots.free(), quota.reserved()), (1, 0));
        assert!(!state.path("dst").exists());
    }
    while state.ctx.jobs() > 0 {
        std::thread::yield_now();
    }
}
