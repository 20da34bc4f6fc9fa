//! What a host can look at and forbid.

use std::fs;

use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, ErrorCode};

use crate::gate::Gate;
use crate::state::{State, copy};

#[tokio::test]
async fn hooks_see_every_copy_and_can_forbid_it() {
    let (gate, seen, go) = Gate::new(Some("secret"));
    let mut state = State::new().with(FastCopyCtx::builder().hooks(gate));
    fs::write(state.path("src"), "text").unwrap();
    fs::write(state.path("secret"), "text").unwrap();
    let handle = state.handle;
    drop(go);
    let answer = copy(&mut state, handle, "src", CopyFlags::empty()).await;
    assert!(answer.unwrap().is_ok());
    let answer = copy(&mut state, handle, "secret", CopyFlags::REPLACE).await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::NotPermitted
    ));
    let answer = copy(&mut state, handle, "src", CopyFlags::empty()).await;
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
            "ended: opening (destination): the destination exists; ask for replacement, or choose \
             another name",
        ]
    );
}
