//! A host's limits and settings, and the errors that guests get for them.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::types::ErrorCode;
use wasmtime_fast_copy::{
    CopyQuota, CopyRate, Durability, FastCopyCtx, FastCopyCtxBuilder, FreeSpaceFloor,
};

/// Copies in both forms, which must have the same result.
async fn code_of(state: &mut State, src: &str, dst: &str, options: Options) -> Option<ErrorCode> {
    let a = state.fast_copy_async(src, dst, options).await;
    let b = state.fast_copy(src, dst, options);
    let [a, b] = [a, b].map(|answer| answer.unwrap().err().map(|error| error.code));
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    b
}

#[tokio::test]
async fn each_limit_has_its_error_code() {
    use ErrorCode::*;
    let builder = FastCopyCtx::builder;
    let everything = FreeSpaceFloor::of_bytes(u64::MAX);
    type Case = (FastCopyCtxBuilder, Options, &'static str, Option<ErrorCode>);
    let (none, replace) = (Options::empty(), Options::REPLACE);
    let cases: [Case; 14] = [
        (builder().max_size(3), none, "src", Some(FileTooLarge)),
        (builder().max_size(4), replace, "src", None),
        (builder().max_path(3), replace, "src", None),
        (builder().max_path(2), none, "src", Some(NameTooLong)),
        (builder().quota(CopyQuota::new(0)), none, "src", Some(Quota)),
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
        (builder().allow_replace(false), replace, "src", Some(Denied)),
        (
            builder().allow_sharing(false),
            Options::REQUIRE_REFLINK,
            "src",
            Some(NotShareable),
        ),
    ];
    for (ctx, options, src, expected) in cases {
        let text = format!("{ctx:?}");
        let mut state = State::new().with(ctx);
        fs::write(state.path("src"), "text").unwrap();
        let code = code_of(&mut state, src, "dst", options).await;
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
            .sparse_copy_async("src", "dst", Options::NOT_DURABLE)
            .await;
        let code = answer.unwrap().err().map(|error| error.code);
        assert_eq!(format!("{code:?}"), format!("{expected:?}"));
        assert_eq!(state.path("dst").exists(), expected.is_none());
        assert_eq!(quota.reserved(), 0);
    }
}

#[tokio::test]
async fn the_durability_setting_decides_over_set_durable() {
    for (durability, options, durable) in [
        (Durability::GuestsChoice, Options::empty(), true),
        (Durability::GuestsChoice, Options::NOT_DURABLE, false),
        (Durability::Always, Options::NOT_DURABLE, true),
        (Durability::Never, Options::empty(), false),
    ] {
        let mut state = State::new().with(FastCopyCtx::builder().durability(durability));
        fs::write(state.path("src"), "text").unwrap();
        let report = state.sparse_copy_async("src", "dst", options).await;
        assert_eq!(report.unwrap().unwrap().durable, durable, "{durability:?}");
    }
}

#[tokio::test]
async fn the_permissions_mask_removes_permission_bits() {
    let mut state = State::new().with(FastCopyCtx::builder().permissions_mask(0o640));
    fs::write(state.path("src"), "text").unwrap();
    fs::set_permissions(state.path("src"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(
        code_of(&mut state, "src", "dst", Options::REPLACE)
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
        .sparse_copy_async("src", "dst", Options::empty())
        .await;
    let quota = state.ctx.quota().unwrap();
    assert_eq!(quota.used(), report.unwrap().unwrap().allocated);
    quota.reset();
    assert_eq!((quota.used(), quota.reserved()), (0, 0));
}
