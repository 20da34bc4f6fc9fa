//! The interface `inspect`.

use std::fs::{self, File};
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, symlink};
use std::task::{Context, Waker};
use std::time::Duration;

use fast_copy_test_support::files::{
    KIB, MIB, data_ranges as seek_data, dense_file, names, sparse_file, text_file,
};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::inspect::Host;
use wasmtime_fast_copy::p2::bindings::sync::inspect::Host as SyncHost;
use wasmtime_fast_copy::p2::bindings::types::{DataRange, ErrorCode, ReflinkSupport};
use wasmtime_fast_copy::{CopySlots, FastCopyCtx};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File as OpenFile};
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::gate::{Gate, start_held};

/// Calls `disk-usage` in both forms, which must have the same result.
async fn disk_usage(state: &mut State, path: &str) -> Result<(u64, u64), ErrorCode> {
    let dir = state.borrow();
    let a = Host::disk_usage(&mut state.view(), dir, path.into()).await;
    let b = state.disk_usage(path);
    let [a, b] = [a, b].map(|answer| answer.unwrap());
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    a.map(|usage| (usage.size, usage.allocated))
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

/// Makes a directory with files of each kind. Returns paths, and the error code that they have.
fn refused_paths(state: &State) -> Vec<(String, ErrorCode)> {
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
    let paths = [
        ("none", NoEntry),
        ("", NoEntry),
        ("dir", IsDirectory),
        (".", IsDirectory),
        ("link", Loop),
        ("out", Loop),
        ("out/", NotPermitted),
        ("fifo", NotRegularFile),
        ("file/", NotDirectory),
        ("../x", NotPermitted),
        ("/etc/passwd", NotPermitted),
        ("a\0b", Invalid),
        (long.as_str(), NameTooLong),
    ];
    paths.map(|(path, code)| (path.to_owned(), code)).into()
}

#[tokio::test]
async fn disk_usage_accepts_only_regular_files_inside_the_directory() {
    let mut state = State::new();
    for (path, expected) in refused_paths(&state) {
        let code = disk_usage(&mut state, &path).await.unwrap_err();
        assert_eq!(code, expected, "{path:?}");
    }
}

#[tokio::test]
async fn summarize_extents_without_time_left_is_timeout() {
    let ctx = FastCopyCtx::builder().timeout(Some(Duration::ZERO));
    let mut state = State::new().with(ctx);
    dense_file(&state.path("file"), 100_000);
    let dir = state.borrow();
    let answer = Host::summarize_extents(&mut state.view(), dir, "file".into()).await;
    assert_eq!(answer.unwrap().unwrap_err(), ErrorCode::Timeout);
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
        Err(error) => assert_eq!(error, ErrorCode::Unsupported),
    }
    assert_eq!(slots.free(), 1);
}

/// The largest number of ranges that `data-ranges` returns.
const MOST: usize = 1024;

/// Calls `data-ranges` in both forms, which must have the same result.
async fn data_ranges(
    state: &mut State,
    path: &str,
    start: u64,
) -> Result<Vec<Range<u64>>, ErrorCode> {
    let (dir, again) = (state.borrow(), state.borrow());
    let a = Host::data_ranges(&mut state.view(), dir, path.into(), start).await;
    let b = SyncHost::data_ranges(&mut state.view(), again, path.into(), start);
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b);
    let range = |DataRange { offset, length }| offset..offset + length;
    a.map(|ranges| ranges.into_iter().map(range).collect())
}

#[tokio::test]
async fn data_ranges_returns_where_a_file_has_data_from_a_start() {
    let mut state = State::new();
    let extents = [
        0..64 * KIB,
        MIB..MIB + 128 * KIB,
        2 * MIB - 64 * KIB..2 * MIB,
        3 * MIB..3 * MIB + 64 * KIB,
    ];
    let path = state.path("file");
    sparse_file(&path, 4 * MIB, &extents);
    File::open(&path).unwrap().sync_all().unwrap();
    let found = data_ranges(&mut state, "file", 0).await.unwrap();
    assert_eq!(found, seek_data(&File::open(&path).unwrap()));
    assert_eq!(found, extents);
    for (start, expected) in [
        (1, [vec![1..64 * KIB], extents[1..].to_vec()].concat()),
        (64 * KIB, extents[1..].to_vec()),
        (MIB - 1, extents[1..].to_vec()),
        (
            MIB + 100_000,
            [vec![MIB + 100_000..MIB + 128 * KIB], extents[2..].to_vec()].concat(),
        ),
        (
            3 * MIB + 64 * KIB - 1,
            vec![3 * MIB + 64 * KIB - 1..3 * MIB + 64 * KIB],
        ),
        (3 * MIB + 64 * KIB, vec![]),
        (4 * MIB, vec![]),
        (4 * MIB + 1, vec![]),
        (u64::MAX, vec![]),
    ] {
        let found = data_ranges(&mut state, "file", start).await;
        assert_eq!(found.unwrap(), expected, "from {start}");
    }
}

#[tokio::test]
async fn an_empty_file_and_a_hole_have_no_data_ranges() {
    let mut state = State::new();
    text_file(state.dir(), "empty", "");
    sparse_file(&state.path("hole"), 1 << 40, &[]);
    for path in ["empty", "hole"] {
        assert_eq!(data_ranges(&mut state, path, 0).await.unwrap(), []);
    }
    // The end of the data need not be the end of a block.
    sparse_file(&state.path("odd"), 300_000, &[0..4 * KIB, 200_000..300_000]);
    let found = data_ranges(&mut state, "odd", 0).await.unwrap();
    assert_eq!(found.last().unwrap().end, 300_000);
}

#[tokio::test]
async fn data_ranges_returns_at_most_1024_and_goes_on_after_the_last() {
    for count in [MOST - 1, MOST, MOST + 1, 2500] {
        let mut state = State::new();
        let extents: Vec<_> = (0..count as u64)
            .map(|i| i * 16 * KIB..i * 16 * KIB + 4 * KIB)
            .collect();
        let end = 16 * KIB * count as u64;
        sparse_file(&state.path("file"), end, &extents);
        let (mut all, mut pages, mut start) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = data_ranges(&mut state, "file", start).await.unwrap();
            pages.push(page.len());
            let is_last = page.len() < MOST;
            start = page.last().map_or(start, |range| range.end);
            all.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(all, extents);
        let (full, rest) = (count / MOST, count % MOST);
        assert_eq!(pages, [vec![MOST; full], vec![rest]].concat());
    }
}

#[tokio::test]
async fn data_ranges_of_no_regular_file_inside_the_directory_is_an_error() {
    let mut state = State::new();
    for (path, expected) in refused_paths(&state) {
        let code = data_ranges(&mut state, &path, 0).await.unwrap_err();
        assert_eq!(code, expected, "{path:?}");
    }
    let proc = state.open("/proc".as_ref());
    let view = &mut state.view();
    let answer = SyncHost::data_ranges(view, proc, "version".into(), 0);
    assert_eq!(answer.unwrap().unwrap_err(), ErrorCode::NotRegularFile);
    let file = open_file(&mut state, "file");
    let answer = SyncHost::data_ranges(&mut state.view(), file, "x".into(), 0);
    assert_eq!(answer.unwrap().unwrap_err(), ErrorCode::NotDirectory);
}

#[tokio::test]
async fn data_ranges_without_time_left_is_timeout() {
    let ctx = FastCopyCtx::builder().timeout(Some(Duration::ZERO));
    let mut state = State::new().with(ctx);
    dense_file(&state.path("file"), 100_000);
    let code = data_ranges(&mut state, "file", 0).await.unwrap_err();
    assert_eq!(code, ErrorCode::Timeout);
}

/// Pushes a descriptor of a file.
fn open_file(state: &mut State, name: &str) -> Resource<Descriptor> {
    let file = File::open(state.path(name)).unwrap();
    let file = OpenFile::new(file, FsPerms::ReadWrite, OpenMode::READ, false);
    state.table.push(Descriptor::File(file)).unwrap()
}

/// Pushes a descriptor of the directory through which the guest may only read.
fn open_read_only(state: &mut State) -> Resource<Descriptor> {
    let dir = File::open(state.dir()).unwrap();
    let dir = Dir::new(dir, FsPerms::ReadOnly, OpenMode::READ, false);
    state.table.push(Descriptor::Dir(dir)).unwrap()
}

/// Calls `can-reflink` in both forms, which must have the same result.
async fn can_reflink(
    state: &mut State,
    src: &Resource<Descriptor>,
    dst: &Resource<Descriptor>,
) -> Result<ReflinkSupport, ErrorCode> {
    let again = |dir: &Resource<Descriptor>| Resource::new_borrow(dir.rep());
    let a = Host::can_reflink(&mut state.view(), again(src), again(dst)).await;
    let b = SyncHost::can_reflink(&mut state.view(), again(src), again(dst));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a, b);
    a
}

/// `unknown` is no wrong answer where the host can't tell.
#[tokio::test]
async fn can_reflink_agrees_with_require_reflink_and_leaves_nothing() {
    let mut state = State::new();
    text_file(state.dir(), "src", "text");
    let before = fs::metadata(state.path("src")).unwrap();
    let dir = state.borrow();
    let support = can_reflink(&mut state, &dir, &dir).await.unwrap();
    assert_eq!(names(state.dir()), ["src"]);
    let after = fs::metadata(state.path("src")).unwrap();
    assert_eq!(
        (after.mtime(), after.atime()),
        (before.mtime(), before.atime())
    );
    let copied = state.fast_copy("src", "dst", Options::REQUIRE_REFLINK);
    match copied.unwrap() {
        Ok(_) => assert_ne!(support, ReflinkSupport::No),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::NotShareable);
            assert_ne!(support, ReflinkSupport::Yes);
        }
    }
}

#[tokio::test]
async fn can_reflink_is_no_on_tmpfs_and_between_file_systems() {
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut state = State::new();
    let (dir, tmpfs) = (state.borrow(), state.open(shm.path()));
    for (src, dst) in [(&tmpfs, &tmpfs), (&dir, &tmpfs), (&tmpfs, &dir)] {
        let support = can_reflink(&mut state, src, dst).await;
        assert_eq!(support.unwrap(), ReflinkSupport::No);
    }
    assert_eq!(names(shm.path()), [""; 0]);
    assert_eq!(names(state.dir()), [""; 0]);
}

#[tokio::test]
async fn can_reflink_is_no_if_the_host_forbids_sharing() {
    let ctx = FastCopyCtx::builder().allow_sharing(false);
    let mut state = State::new().with(ctx);
    let dir = state.borrow();
    let support = can_reflink(&mut state, &dir, &dir).await;
    assert_eq!(support.unwrap(), ReflinkSupport::No);
    // Errors are the same.
    let read_only = open_read_only(&mut state);
    let code = can_reflink(&mut state, &dir, &read_only).await;
    assert_eq!(code.unwrap_err(), ErrorCode::NotPermitted);
}

#[tokio::test]
async fn can_reflink_needs_two_directories_and_writes_to_the_second() {
    let mut state = State::new();
    text_file(state.dir(), "file", "text");
    let dir = state.borrow();
    let (file, read_only) = (open_file(&mut state, "file"), open_read_only(&mut state));
    for (src, dst, expected) in [
        (&dir, &read_only, ErrorCode::NotPermitted),
        (&read_only, &read_only, ErrorCode::NotPermitted),
        (&file, &dir, ErrorCode::NotDirectory),
        (&dir, &file, ErrorCode::NotDirectory),
        (&file, &read_only, ErrorCode::NotDirectory),
    ] {
        let code = can_reflink(&mut state, src, dst).await.unwrap_err();
        assert_eq!(code, expected);
    }
    assert!(can_reflink(&mut state, &read_only, &dir).await.is_ok());
    assert_eq!(names(state.dir()), ["file"]);
}

/// The file system refuses the staged file, or the directory is gone.
#[tokio::test]
async fn can_reflink_with_a_removed_directory_is_an_error() {
    let mut state = State::new();
    fs::create_dir(state.path("gone")).unwrap();
    let (dir, gone) = (state.borrow(), state.path("gone"));
    let gone = state.open(&gone);
    fs::remove_dir(state.path("gone")).unwrap();
    assert!(can_reflink(&mut state, &dir, &gone).await.is_err());
}
