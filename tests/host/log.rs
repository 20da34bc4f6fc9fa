//! Spans and events for `tracing`.

use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use tracing_subscriber::fmt::format::FmtSpan;
use wasmtime_fast_copy::p2::bindings::copy::Host as _;
use wasmtime_fast_copy::p2::bindings::inspect::Host as _;
use wasmtime_fast_copy::p2::bindings::types::ErrorCode;
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};

use crate::gate::{Gate, start_held};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a line for each span that is closed during `work`.
fn lines_of(work: impl Future<Output = ()>) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(work));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_copy_is_a_span_with_its_operands_and_its_outcome() {
    let mut state = State::new();
    dense_file(&state.path("src"), 1 << 20);
    let lines = lines_of(async {
        let answer = state
            .sparse_copy_async("src", "dst", Options::NOT_DURABLE)
            .await;
        assert!(answer.unwrap().is_ok());
    });
    let [line] = lines.as_slice() else {
        panic!("one span: {lines:#?}");
    };
    for part in [
        "wasmtime_fast_copy",
        "copy{",
        "src=\"src\"",
        "dst=\"dst\"",
        "function=\"sparse-copy\"",
        "options=durable=false",
        "size=1048576",
        "method=\"copy\"",
        "copied=1048576",
        "allocated=",
        "waited=",
        "worked=",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("error="), "{line}");
    assert!(!line.contains(state.dir().to_str().unwrap()), "{line}");
}

#[test]
fn the_log_tells_whether_a_call_has_waited_or_worked_too_long() {
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    let (gate, seen, go) = Gate::new(None);
    let mut holder = State::new().with(builder.clone().hooks(gate));
    let impatient = builder.clone().wait_timeout(Some(Duration::ZERO));
    let mut waits = State::new().with(impatient);
    let mut works = State::new().with(builder.timeout(Some(Duration::ZERO)));
    for state in [&waits, &works] {
        fs::write(state.path("src"), "text").unwrap();
    }
    let held = start_held(&mut holder, &seen);
    let lines = lines_of(async {
        let options = Options::empty();
        let answer = waits.sparse_copy_async("src", "dst", options).await;
        assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Timeout);
        drop(go);
        assert!(held.await.unwrap().is_ok());
        let answer = works.sparse_copy("src", "dst", options);
        assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Timeout);
    });
    let text = lines.join("\n");
    for part in [
        "error=the call has waited too long for a slot",
        "error=opening: the copy exceeded its time limit",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_failure_is_logged_and_a_newline_in_a_path_is_escaped() {
    let mut state = State::new();
    let lines = lines_of(async {
        let path = "x\n2026-01-01 INFO all is well";
        let answer = state.sparse_copy_async(path, "dst", Options::empty()).await;
        assert!(answer.unwrap().is_err());
        let dir = state.borrow();
        let answer = state.view().disk_usage(dir, path.into()).await;
        assert!(answer.unwrap().is_err());
    });
    let [copy, inspect] = lines.as_slice() else {
        panic!("two spans: {lines:#?}");
    };
    assert!(inspect.contains("worked="), "{inspect}");
    for line in [copy, inspect] {
        assert!(line.contains("error=opening (source): "), "{line}");
        assert!(!line.contains(state.dir().to_str().unwrap()), "{line}");
    }
}

/// A clone across file systems always fails. The copy succeeds, or fails because a clone is required.
#[test]
fn the_error_of_a_clone_is_logged_whether_the_copy_succeeds_or_fails() {
    for (options, ends) in [
        (Options::empty(), "method=\"copy\""),
        (Options::REQUIRE_REFLINK, "error="),
    ] {
        let across = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut state = State::new();
        dense_file(&state.path("src"), 1000);
        let dst = state.open(across.path());
        let src = state.borrow();
        let lines = lines_of(async {
            let mut call = state.call(options);
            let options = call.options();
            let (from, to) = ("src".into(), "dst".into());
            let _ = call
                .view
                .fast_copy(src, from, dst, to, options)
                .await
                .unwrap();
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        let refused = format!("clone_error={}", libc::EXDEV);
        for part in [refused.as_str(), ends] {
            assert!(lines[0].contains(part), "{part} in {lines:?}");
        }
    }
}

#[test]
fn a_long_path_is_truncated_in_the_log() {
    let mut state = State::new();
    let lines = lines_of(async {
        let answer = state
            .sparse_copy_async(&"é".repeat(2000), "dst", Options::empty())
            .await;
        assert!(answer.unwrap().is_err());
    });
    assert!(lines[0].contains("é") && lines[0].len() < 1500, "{lines:?}");
}

#[test]
fn a_call_refused_at_once_is_logged() {
    let mut state = State::new().with(FastCopyCtx::builder().allow_replace(false));
    fs::write(state.path("src"), "text").unwrap();
    let lines = lines_of(async {
        let answer = state
            .sparse_copy_async("src", "dst", Options::REPLACE)
            .await;
        assert!(answer.unwrap().is_err());
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("error="), "{lines:?}");
}
