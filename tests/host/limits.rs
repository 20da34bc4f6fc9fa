//! A host's limits and settings, and the errors that guests get for them.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::copy::Host;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, ErrorCode};
use wasmtime_fast_copy::{
    CopyQuota, CopyRate, Durability, FastCopyCtx, FastCopyCtxBuilder, FreeSpaceFloor,
};

/// Copies in both forms, which must have the same result.
async fn code_of(state: &mut State, src: &str, dst: &str, flags: CopyFlags) -> Option<ErrorCode> {
    let (src_dir, dst_dir) = (state.borrow(), state.borrow());
    let mut view = state.view();
    let a = Host::fast_copy(&mut view, src_dir, src.into(), dst_dir, dst.into(), flags).await;
    let b = state.fast_copy(src, dst, flags);
    let [a, b] = [a, b].map(|answer| answer.unwrap().err().map(|error| error.code));
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    b
}

#[tokio::test]
async fn each_limit_has_its_error_code() {
    use ErrorCode::*;
    let builder = FastCopyCtx::builder;
    let everything = FreeSpaceFloor {
        percent: 100,
        bytes: u64::MAX,
    };
    type Case = (
        FastCopyCtxBuilder,
        CopyFlags,
        &'static str,
        Option<ErrorCode>,
    );
    let (none, replace) = (CopyFlags::empty(), CopyFlags::REPLACE);
    let cases: [Case; 14] = [
        (builder().max_size(3), none, "src", Some(FileTooLarge)),
        (builder().max_size(4), replace, "src", None),
        (builder().max_path(3), replace, "src", None),
        (builder().max_path(2), none, "src", Some(NameTooLong)),
        (
            builder().quota(CopyQuota::new(0)),
            none,
            "src",
            Some(InsufficientSpace),
        ),
        (
            builder().quota(CopyQuota::new(1 << 20)),
            replace,
            "src",
            None,
        ),
        (
            builder().free_space_floor(everything),
            none,
            "src",
            Some(InsufficientSpace),
        ),
        (
            builder().free_space_floor(FreeSpaceFloor::NONE),
            replace,
            "src",
            None,
        ),
        (
            builder().timeout(Some(Duration::ZERO)),
            none,
            "src",
            Some(Timeout),
        ),
        (builder().timeout(Some(Duration::MAX)), replace, "src", None),
        (
            builder().wait_timeout(Some(Duration::ZERO)),
            replace,
            "src",
            None,
        ),
        (
            builder().wait_timeout(Some(Duration::MAX)),
            replace,
            "src",
            None,
        ),
        (
            builder().allow_replace(false),
            replace,
            "src",
            Some(NotPermitted),
        ),
        (
            builder().allow_sharing(false),
            CopyFlags::REQUIRE_REFLINK,
            "src",
            Some(Unsupported),
        ),
    ];
    for (ctx, flags, src, expected) in cases {
        let text = format!("{ctx:?}");
        let mut state = State::new().with(ctx);
        fs::write(state.path("src"), "text").unwrap();
        let code = code_of(&mut state, src, "dst", flags).await;
        assert_eq!(format!("{code:?}"), format!("{expected:?}"), "{text}");
        assert_eq!(state.path("dst").exists(), expected.is_none(), "{text}");
    }
}

/// The rate is too low for the timeout: the copy ends before its last byte.
#[tokio::test]
async fn a_copy_slowed_by_its_rate_can_time_out() {
    let quota = CopyQuota::new(1 << 30);
    let builder = FastCopyCtx::builder().quota(quota.clone()).max_copies(1);
    let rate = CopyRate::new(NonZero::new(1 << 20).unwrap());
    for (ctx, expected) in [
        (builder.clone(), None),
        (builder.clone().rate(rate.clone()), Some(ErrorCode::Timeout)),
    ] {
        let ctx = ctx.timeout(Some(Duration::from_secs(2)));
        let mut state = State::new().with(ctx);
        // The rate delays each chunk but the first by a quarter of a second.
        dense_file(&state.path("src"), 8 << 20);
        let answer = state
            .sparse_copy_async("src", "dst", CopyFlags::NO_SYNC)
            .await;
        let code = answer.unwrap().err().map(|error| error.code);
        assert_eq!(format!("{code:?}"), format!("{expected:?}"));
        assert_eq!(state.path("dst").exists(), expected.is_none());
        assert_eq!(quota.reserved(), 0);
    }
}

#[tokio::test]
async fn the_durability_setting_decides_over_no_sync() {
    for (durability, flags, durable) in [
        (Durability::GuestsChoice, CopyFlags::empty(), true),
        (Durability::GuestsChoice, CopyFlags::NO_SYNC, false),
        (Durability::Always, CopyFlags::NO_SYNC, true),
        (Durability::Never, CopyFlags::empty(), false),
    ] {
        let mut state = State::new().with(FastCopyCtx::builder().durability(durability));
        fs::write(state.path("src"), "text").unwrap();
        let report = state.sparse_copy_async("src", "dst", flags).await;
        assert_eq!(report.unwrap().unwrap().durable, durable, "{durability:?}");
    }
}

#[tokio::test]
async fn the_permissions_mask_removes_permission_bits() {
    let mut state = State::new().with(FastCopyCtx::builder().permissions_mask(0o640));
    fs::write(state.path("src"), "text").unwrap();
    fs::set_permissions(state.path("src"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(
        code_of(&mut state, "src", "dst", CopyFlags::REPLACE)
            .await
            .is_none()
    );
    let mode = fs::metadata(state.path("dst")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[tokio::test]
async fn the_quota_of_a_store_can_be_read_and_reset() {
    let mut state = State::new().with(FastCopyCtx::builder().quota(CopyQuota::new(1 << 30)));
    dense_file(&state.path("src"), 1 << 20);
    let report = state
        .sparse_copy_async("src", "dst", CopyFlags::empty())
        .await;
    let quota = state.ctx.quota().unwrap();
    assert_eq!(quota.used(), report.unwrap().unwrap().allocated);
    quota.reset();
    assert_eq!((quota.used(), quota.reserved()), (0, 0));
}
