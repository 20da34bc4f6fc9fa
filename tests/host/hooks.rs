//! Hooks: what they receive, and what they can refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fast_copy_test_support::files::dense_file;
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime_fast_copy::p2::bindings::types::{CopyMethod, ErrorCode};
use wasmtime_fast_copy::{
    CopyControl, CopyError, CopyHooks, CopyQuota, CopyReport, CopyRequest, CopySlots, CopyTimes,
    Decision, FastCopyCtx, FileId, Source, file_id,
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
        .sparse_copy_async("src", "dst", Options::empty())
        .await;
    assert!(answer.unwrap().is_ok());
    let answer = state
        .sparse_copy_async("secret", "dst", Options::REPLACE)
        .await;
    assert!(matches!(
        answer.unwrap().unwrap_err().code,
        ErrorCode::Denied
    ));
    let answer = state
        .sparse_copy_async("src", "dst", Options::empty())
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
    let options = Options::REPLACE | Options::NOT_DURABLE;
    let answer = state.sparse_copy("src", "dst", options);
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

/// Denies copies of one file, and copies that would replace it.
struct Protect {
    file: Source,
}

impl CopyHooks for Protect {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        let id = self.file.id();
        match request.source.id() == id || request.destination.existing() == Some(id) {
            true => Decision::Deny,
            false => Decision::Allow,
        }
    }
}

#[test]
fn a_policy_on_identities_applies_to_every_name_of_a_file() {
    let mut state = State::new();
    fs::create_dir(state.path("inner")).unwrap();
    fs::write(state.path("inner/key"), "secret").unwrap();
    fs::write(state.path("src"), "text").unwrap();
    symlink("inner/key", state.path("symbolic")).unwrap();
    symlink("inner", state.path("short")).unwrap();
    fs::hard_link(state.path("inner/key"), state.path("hard")).unwrap();
    let file = Source::open(state.path("inner/key"), false).unwrap();
    state.ctx = FastCopyCtx::builder().hooks(Protect { file }).build();

    let options = Options::SYMLINK_FOLLOW | Options::REPLACE;
    let refused = |state: &mut State, src: &str, dst: &str| {
        let error = state.fast_copy(src, dst, options).unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied, "{src} -> {dst}");
    };
    for src in [
        "inner/key",
        "symbolic",
        "short/key",
        "hard",
        "inner/../hard",
    ] {
        refused(&mut state, src, "dst");
    }
    for dst in ["inner/key", "short/key", "hard"] {
        refused(&mut state, "src", dst);
    }
    fs::rename(state.path("inner/key"), state.path("renamed")).unwrap();
    refused(&mut state, "renamed", "dst");
    assert!(!state.path("dst").exists());

    let (other, dst_dir) = (state.open(&state.path("inner")), state.borrow());
    fs::rename(state.path("renamed"), state.path("inner/key")).unwrap();
    let answer = state.fast_copy_between(other, "key", dst_dir, "dst", options);
    assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Denied);
    assert!(!state.path("dst").exists());

    // Another file under its old name is not protected.
    fs::remove_file(state.path("inner/key")).unwrap();
    fs::write(state.path("inner/key"), "another").unwrap();
    let answer = state.fast_copy("inner/key", "dst", options);
    assert_eq!(answer.unwrap().unwrap().size, 7);
}

/// Compares what is open with the files on the disk.
struct Compare {
    dir: PathBuf,
}

impl CopyHooks for Compare {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        let id = |id: FileId| (id.device(), id.inode());
        let of = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let at = |path: &str| of(fs::symlink_metadata(self.dir.join(path)).unwrap());
        let CopyRequest {
            source,
            destination,
            ..
        } = request;
        assert_eq!(id(source.id()), at("a/src"));
        assert_eq!(of(source.file().metadata().unwrap()), at("a/src"));
        assert_eq!(id(file_id(destination.directory()).unwrap()), at("b"));
        assert_eq!(destination.name(), "dst");
        assert_eq!(destination.existing().map(id), Some(at("b/dst")));
        assert_eq!(of(request.src_dir.metadata().unwrap()), at("."));
        assert_eq!(of(request.dst_dir.metadata().unwrap()), at("."));
        Decision::Allow
    }
}

#[test]
fn a_request_has_the_open_files_and_their_identities() {
    let mut state = State::new();
    let dir = state.dir().to_owned();
    state.ctx = FastCopyCtx::builder().hooks(Compare { dir }).build();
    for name in ["a", "b"] {
        fs::create_dir(state.path(name)).unwrap();
    }
    fs::write(state.path("a/src"), "text").unwrap();
    symlink("nowhere", state.path("b/dst")).unwrap();
    let answer = state.fast_copy("a/src", "b/dst", Options::REPLACE);
    assert_eq!(answer.unwrap().unwrap().size, 4);
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
fn a_copy_allowed_without_sharing_with_require_reflink_is_not_shareable() {
    let (may_share, seen) = mpsc::channel();
    let ctx = FastCopyCtx::builder().hooks(WithoutSharing { may_share });
    let mut state = State::new().with(ctx);
    fs::write(state.path("src"), "text").unwrap();
    let answer = state.fast_copy("src", "dst", Options::REQUIRE_REFLINK);
    assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::NotShareable);
    assert!(!state.path("dst").exists());
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true]);

    let answer = state.fast_copy("src", "dst", Options::empty());
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
    let answer = state.sparse_copy("src", "dst", Options::NOT_DURABLE);
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
    let options = Options::empty();
    for in_job in [false, true] {
        let call = AssertUnwindSafe(|| match in_job {
            false => drop(state.sparse_copy("src", "dst", options)),
            true => {
                let job = state.start_fast_copy("src", "dst", options);
                drop(state.finish(job.unwrap().unwrap()));
            }
        });
        assert!(catch_unwind(call).is_err());
        assert_eq!((slots.free(), quota.reserved()), (1, 0));
        assert!(!state.path("dst").exists());
    }
    assert_eq!(state.ctx.jobs(), 0);
}
