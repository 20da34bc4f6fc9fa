//! The interface `inspect`.

use std::fs::{self, File};
use std::future::Future;
use std::os::unix::fs::{MetadataExt, symlink};
use std::task::{Context, Waker};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::inspect::Host;
use wasmtime_fast_copy::p2::bindings::types::{ErrorCode, Operand};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::gate::{Gate, start_held};

/// Calls `disk-usage` in both forms, which must have the same result.
async fn disk_usage(state: &mut State, path: &str) -> Result<(u64, u64), ErrorCode> {
    let dir = state.borrow();
    let a = Host::disk_usage(&mut state.view(), dir, path.into()).await;
    let b = state.disk_usage(path);
    let [a, b] = [a, b].map(|answer| answer.unwrap());
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    a.map(|usage| (usage.size, usage.allocated))
        .map_err(|error| {
            assert!(matches!(error.operand, Some(Operand::Source)));
            error.code
        })
}

#[tokio::test]
async fn disk_usage_returns_the_apparent_and_the_allocated_size() {
    let mut state = State::new();
    let path = state.path("sparse");
    dense_file(&path, 300_000);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let blocks = fs::metadata(&path).unwrap().blocks();
    let usage = disk_usage(&mut state, "sparse").await.unwrap();
    assert_eq!(usage, (1 << 40, blocks * 512));
    assert!(usage.1 >= 300_000);
}

#[tokio::test]
async fn disk_usage_accepts_only_regular_files_inside_the_directory() {
    let mut state = State::new();
    fs::write(state.path("file"), "text").unwrap();
    fs::create_dir(state.path("dir")).unwrap();
    symlink("file", state.path("link")).unwrap();
    symlink("/etc/passwd", state.path("out")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        state.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    use ErrorCode::*;
    let long = "x".repeat(5000);
    for (path, expected) in [
        ("none", NoEntry),
        ("", NoEntry),
        ("dir", IsDirectory),
        (".", IsDirectory),
        ("link", Loop),
        ("out", Loop),
        ("out/", NotPermitted),
        ("fifo", Invalid),
        ("file/", NotDirectory),
        ("../x", NotPermitted),
        ("/etc/passwd", NotPermitted),
        ("a\0b", Invalid),
        (long.as_str(), NameTooLong),
    ] {
        let code = disk_usage(&mut state, path).await.unwrap_err();
        assert_eq!(format!("{code:?}"), format!("{expected:?}"), "{path:?}");
    }
}

#[tokio::test]
async fn summarize_extents_without_time_left_is_timeout() {
    let ctx = FastCopyCtx::builder().timeout(Some(Duration::ZERO));
    let mut state = State::new().with(ctx);
    dense_file(&state.path("file"), 100_000);
    let dir = state.borrow();
    let answer = Host::summarize_extents(&mut state.view(), dir, "file".into()).await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::Timeout
    ));
}

/// It may take long, so it waits as a copy does.
#[tokio::test(flavor = "multi_thread")]
async fn summarize_extents_waits_for_a_slot() {
    let slots = CopySlots::new(1);
    let (gate, seen, go) = Gate::new(None);
    let builder = FastCopyCtx::builder().slots(slots.clone());
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let held = start_held(&mut holder, &seen);
    let mut context = Context::from_waker(Waker::noop());

    let mut state = State::new().with(builder);
    dense_file(&state.path("file"), 100_000);
    File::open(state.path("file")).unwrap().sync_all().unwrap();
    let dir = state.borrow();
    let mut view = state.view();
    let mut call = Box::pin(Host::summarize_extents(&mut view, dir, "file".into()));
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(go);
    assert!(held.await.unwrap().is_ok());
    match call.await.unwrap() {
        Ok(summary) => assert!(summary.extents > 0),
        Err(error) => assert!(matches!(error.code, ErrorCode::Unsupported)),
    }
    assert_eq!(slots.free(), 1);
}
