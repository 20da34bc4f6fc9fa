//! Hooks that report their calls to the test and hold copies back, and hooks that panic.

use std::fs;
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Waker};

use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::{Answer, State};
use wasmtime_fast_copy::p2::bindings::types::{self};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyReport, CopyRequest, CopyTimes, Decision,
};

/// Hooks that report their calls, and let a copy start only when the test says so.
pub struct Gate {
    seen: mpsc::Sender<String>,
    go: Mutex<mpsc::Receiver<()>>,
    refuse: Option<&'static str>,
}

impl Gate {
    /// Returns the hooks, the receiver of their reports, and the sender that lets copies start: one for each
    /// message, and all once it is dropped.
    pub fn new(refuse: Option<&'static str>) -> (Self, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let (seen, seen_here) = mpsc::channel();
        let (go_here, go) = mpsc::channel();
        let gate = Self {
            seen,
            go: Mutex::new(go),
            refuse,
        };
        (gate, seen_here, go_here)
    }
}

impl CopyHooks for Gate {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        let text = format!(
            "asked {} -> {}, {}",
            request.src_path, request.dst_path, request.size
        );
        self.seen.send(text).unwrap();
        match self.refuse == Some(request.src_path) {
            true => Decision::Deny,
            false => Decision::Allow,
        }
    }

    fn started(&self, _: &CopyRequest<'_>, control: &CopyControl) {
        self.seen
            .send(format!("started, {}", control.copied()))
            .unwrap();
        let _ = self.go.lock().unwrap().recv();
    }

    fn ended(&self, _: &CopyRequest<'_>, result: Result<&CopyReport, &CopyError>, _: CopyTimes) {
        let text = match result {
            Ok(report) => format!("ended, {}", report.size),
            Err(error) => format!("ended: {error}"),
        };
        // The test may have dropped the receiver.
        let _ = self.seen.send(text);
    }
}

/// Hooks that panic with a payload of their own.
pub struct Panics;

impl CopyHooks for Panics {
    fn authorize(&self, _: &CopyRequest<'_>) -> Decision {
        std::panic::panic_any(4711_u32)
    }
}

/// Starts a copy of `src` in a store whose hooks are a [`Gate`], and waits until the gate holds it.
pub fn start_held<'a>(
    state: &'a mut State,
    seen: &mpsc::Receiver<String>,
) -> Pin<Box<dyn Future<Output = Answer<types::CopyReport>> + 'a>> {
    fs::write(state.path("src"), "text").unwrap();
    let mut held = Box::pin(state.sparse_copy_async("src", "dst", Options::empty()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(held.as_mut().poll(&mut context).is_pending());
    while seen.recv().unwrap() != "started, 0" {}
    held
}
