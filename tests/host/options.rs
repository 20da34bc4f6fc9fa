//! The resource `copy-options`.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use fast_copy_test_support::files::{MIB, allocated, assert_text, dense_file, names, text_file};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_fast_copy::p2::GuestOptions;
use wasmtime_fast_copy::p2::bindings::jobs::Host as _;
use wasmtime_fast_copy::p2::bindings::types::{
    CopyError, CopyNotes, CopyReport, ErrorCode, HostCopyOptions,
};
use wasmtime_fast_copy::p2::bindings::{copy, inspect, sync};
use wasmtime_fast_copy::{
    CopyHooks, CopyQuota, CopyRequest, CopySlots, DEFAULT_MAX_OPTIONS, DEFAULT_MAX_SIZE, Decision,
    FastCopyCtx, FastCopyCtxView,
};

use crate::gate::{Gate, start_held};

type Answer = Result<CopyReport, CopyError>;

fn create(state: &mut State) -> Resource<GuestOptions> {
    HostCopyOptions::new(&mut state.view()).unwrap()
}

fn again(options: &Resource<GuestOptions>) -> Resource<GuestOptions> {
    Resource::new_borrow(options.rep())
}

/// The forms of a copy.
#[derive(Clone, Copy, Debug)]
enum Form {
    Async,
    Sync,
    Job,
}

const FORMS: [Form; 3] = [Form::Async, Form::Sync, Form::Job];

/// Calls `fast-copy` with `src` and `dst`, and the options of a guest.
async fn copy_with(state: &mut State, form: Form, options: &Resource<GuestOptions>) -> Answer {
    let (src, dst) = (state.borrow(), state.borrow());
    let (from, to) = ("src".into(), "dst".into());
    let options = Some(again(options));
    let mut view = state.view();
    match form {
        Form::Async => copy::Host::fast_copy(&mut view, src, from, dst, to, options)
            .await
            .unwrap(),
        Form::Sync => sync::copy::Host::fast_copy(&mut view, src, from, dst, to, options).unwrap(),
        Form::Job => {
            let job = view.start_fast_copy(src, from, dst, to, options).unwrap();
            state.finish(job.unwrap())
        }
    }
}

/// Copies in each form with the same options. Returns the results.
async fn copy_in_each_form(state: &mut State, options: Options) -> [Answer; 3] {
    let mut answers = Vec::new();
    for form in FORMS {
        let created = create_with(state, options);
        answers.push(copy_with(state, form, &created).await);
        HostCopyOptions::drop(&mut state.view(), created).unwrap();
    }
    answers.try_into().unwrap()
}

/// Creates the resource also for the defaults.
fn create_with(state: &mut State, options: Options) -> Resource<GuestOptions> {
    match options.create(&mut state.view()) {
        Some(created) => created,
        None => create(state),
    }
}

#[tokio::test]
async fn new_options_are_the_defaults() {
    for is_none in [true, false] {
        let mut state = State::new();
        fs::write(state.path("src"), "text").unwrap();
        std::os::unix::fs::symlink("src", state.path("link")).unwrap();
        for (src, dst, expected) in [
            ("src", "dst", Ok((4, true))),
            ("src", "dst", Err(ErrorCode::Exist)),
            ("link", "new", Err(ErrorCode::Loop)),
        ] {
            let options = (!is_none).then(|| create(&mut state));
            let passed = options.as_ref().map(again);
            let (src_dir, dst_dir) = (state.borrow(), state.borrow());
            let (src, dst) = (src.to_owned(), dst.to_owned());
            let mut view = state.view();
            let answer = sync::copy::Host::fast_copy(&mut view, src_dir, src, dst_dir, dst, passed);
            let found = answer.unwrap();
            let found = found.map(|report| (report.size, report.durable));
            assert_eq!(found.map_err(|error| error.code), expected);
            if let Some(options) = options {
                HostCopyOptions::drop(&mut view, options).unwrap();
            }
        }
        assert!(state.close(), "the table is not empty");
    }
}

/// The job waits for its slot while its options are changed and dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_uses_the_options_as_they_are_when_it_is_started() {
    let builder = FastCopyCtx::builder().slots(CopySlots::new(1));
    for (replaces, then) in [(true, false), (false, true)] {
        let (gate, seen, go) = Gate::new(None);
        let mut holder = State::new().with(builder.clone().hooks(gate));
        let held = start_held(&mut holder, &seen);

        let mut state = State::new().with(builder.clone());
        fs::write(state.path("src"), "text").unwrap();
        fs::write(state.path("dst"), "old").unwrap();
        let options = create(&mut state);
        let mut view = state.view();
        view.set_replace(again(&options), replaces).unwrap();
        let (src, dst) = (state.borrow(), state.borrow());
        let (from, to) = ("src".into(), "dst".into());
        let passed = Some(again(&options));
        let job = state.view().start_fast_copy(src, from, dst, to, passed);
        let job = job.unwrap().unwrap();
        let mut view = state.view();
        view.set_replace(again(&options), then).unwrap();
        view.set_durable(again(&options), false).unwrap();
        view.set_require_reflink(again(&options), true).unwrap();
        view.set_dig_holes(again(&options), true).unwrap();
        view.set_size(again(&options), Some(1)).unwrap();
        HostCopyOptions::drop(&mut view, options).unwrap();
        assert_eq!((state.ctx.waiting(), state.get(&job)), (1, None));
        drop(go);
        assert!(held.await.unwrap().is_ok());
        let result = state.finish(job);
        match replaces {
            true => {
                let report = result.unwrap();
                assert_eq!((report.size, report.durable), (4, true));
                assert_text(&state.path("dst"), "text");
            }
            false => {
                assert_eq!(result.unwrap_err().code, ErrorCode::Exist);
                assert_text(&state.path("dst"), "old");
            }
        }
        assert!(state.close(), "the table is not empty");
    }
}

#[tokio::test]
async fn one_resource_serves_several_copies_and_can_be_changed_between_them() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let options = create(&mut state);
    for (durable, size) in [(false, None), (true, Some(100)), (false, None)] {
        let mut view = state.view();
        view.set_replace(again(&options), true).unwrap();
        view.set_durable(again(&options), durable).unwrap();
        view.set_size(again(&options), size).unwrap();
        for form in FORMS {
            for _ in 0..3 {
                let report = copy_with(&mut state, form, &options).await.unwrap();
                let expected = (durable, size.unwrap_or(4));
                assert_eq!((report.durable, report.size), expected, "{form:?}");
            }
        }
    }
    HostCopyOptions::drop(&mut state.view(), options).unwrap();
    assert!(state.close(), "the table is not empty");
}

#[tokio::test]
async fn contradictory_options_are_invalid_when_they_are_used() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let options = create(&mut state);
    let mut view = state.view();
    view.set_require_reflink(again(&options), true).unwrap();
    view.set_dig_holes(again(&options), true).unwrap();
    let invalid = CopyError {
        code: ErrorCode::Invalid,
        operand: None,
    };
    for form in FORMS {
        let error = copy_with(&mut state, form, &options).await.unwrap_err();
        assert_eq!(error, invalid, "{form:?}");
    }
    // They fail before the host's policy applies.
    let ctx = FastCopyCtx::builder().allow_replace(false);
    state.ctx = ctx.allow_sharing(false).build();
    state.view().set_replace(again(&options), true).unwrap();
    for form in FORMS {
        let error = copy_with(&mut state, form, &options).await.unwrap_err();
        assert_eq!(error, invalid, "{form:?}");
    }
    assert_eq!(names(state.dir()), ["src"]);
    // Without the contradiction the same resource is valid.
    state.ctx = FastCopyCtx::new();
    state
        .view()
        .set_require_reflink(again(&options), false)
        .unwrap();
    for form in FORMS {
        let answer = copy_with(&mut state, form, &options).await;
        assert!(answer.is_ok(), "{form:?}");
    }
}

#[tokio::test]
async fn sparse_copy_with_require_reflink_is_invalid() {
    let mut state = State::new();
    fs::write(state.path("src"), "text").unwrap();
    let options = Options::REQUIRE_REFLINK;
    let called = state.sparse_copy_async("src", "dst", options).await;
    let blocking = state.sparse_copy("src", "dst", options);
    let job = state.start_sparse_copy("src", "dst", options);
    let in_job = state.finish(job.unwrap().unwrap());
    for answer in [called.unwrap(), blocking.unwrap(), in_job] {
        assert_eq!(answer.unwrap_err().code, ErrorCode::Invalid);
    }
    assert_eq!(names(state.dir()), ["src"]);
}

#[test]
fn the_constructor_traps_at_max_options_until_one_is_dropped() {
    let builder = FastCopyCtx::builder;
    for (ctx, max) in [
        (builder(), DEFAULT_MAX_OPTIONS),
        (builder().max_options(3), 3),
        (builder().max_options(1), 1),
    ] {
        let mut state = State::new().with(ctx);
        let mut held: Vec<_> = (0..max).map(|_| create(&mut state)).collect();
        for _ in 0..3 {
            let trap = HostCopyOptions::new(&mut state.view()).unwrap_err();
            assert!(trap.to_string().contains("max_options"), "{trap}");
            let one = held.swap_remove(0);
            HostCopyOptions::drop(&mut state.view(), one).unwrap();
            held.push(create(&mut state));
        }
        for options in held {
            HostCopyOptions::drop(&mut state.view(), options).unwrap();
        }
        assert!(state.close(), "the table is not empty");
    }
}

#[test]
fn a_guest_without_options_copies_with_the_defaults() {
    let mut state = State::new().with(FastCopyCtx::builder().max_options(0));
    fs::write(state.path("src"), "text").unwrap();
    assert!(HostCopyOptions::new(&mut state.view()).is_err());
    let answer = state.fast_copy("src", "dst", Options::empty());
    assert_eq!(answer.unwrap().unwrap().size, 4);
}

/// The table of a store is dropped with its options. A clone of the context counts them together.
#[test]
fn options_that_do_not_fit_or_go_with_their_store_count_no_longer() {
    let ctx = FastCopyCtx::builder().max_options(2).build();
    let mut first = State::new().with_ctx(ctx.clone());
    let mut second = State::new().with_ctx(ctx);
    let _held = (create(&mut first), create(&mut first));
    assert!(HostCopyOptions::new(&mut second.view()).is_err());
    drop(first);
    // The table has room for the directory only.
    second.table.set_max_capacity(1);
    for _ in 0..10 {
        assert!(HostCopyOptions::new(&mut second.view()).is_err());
    }
    second.table.set_max_capacity(100);
    let held = [create(&mut second), create(&mut second)];
    for options in held {
        HostCopyOptions::drop(&mut second.view(), options).unwrap();
    }
    assert!(second.close(), "the table is not empty");
}

#[tokio::test]
async fn a_size_smaller_than_the_source_is_invalid() {
    let mut state = State::new();
    text_file(state.dir(), "src", "12345");
    let invalid = CopyError {
        code: ErrorCode::Invalid,
        operand: None,
    };
    for size in [0, 1, 4] {
        for answer in copy_in_each_form(&mut state, Options::size(size)).await {
            assert_eq!(answer.unwrap_err(), invalid, "{size}");
        }
    }
    assert_eq!(names(state.dir()), ["src"]);
    for answer in copy_in_each_form(&mut state, Options::size(5) | Options::REPLACE).await {
        assert_eq!(answer.unwrap().size, 5);
    }
    assert_text(&state.path("dst"), "12345");
}

/// The part after the source's data is a hole, and costs the guest nothing.
#[tokio::test]
async fn a_larger_size_gives_a_larger_copy_that_is_charged_for_its_data() {
    const SIZE: u64 = 1 << 40;
    for odd in [0, 123] {
        let quota = CopyQuota::new(16 * MIB);
        let mut state = State::new().with(FastCopyCtx::builder().quota(quota.clone()));
        let size = MIB + odd;
        dense_file(&state.path("src"), size);
        File::open(state.path("src")).unwrap().sync_all().unwrap();
        let options = Options::size(SIZE) | Options::REPLACE;
        let sparse = state.sparse_copy("src", "dst", options).unwrap();
        let [a, b, c] = copy_in_each_form(&mut state, options).await;
        let mut charged = 0;
        for answer in [sparse, a, b, c] {
            let report = answer.unwrap();
            assert_eq!(report.size, SIZE);
            assert!(report.copied <= size);
            assert!(report.allocated <= 2 * MIB, "{report:?}");
            assert!(!report.notes.contains(CopyNotes::HOLES_NOT_KEPT));
            charged += report.allocated;
        }
        assert_eq!((quota.used(), quota.reserved()), (charged, 0));
        let copy = File::open(state.path("dst")).unwrap();
        assert_eq!(copy.metadata().unwrap().len(), SIZE);
        assert!(allocated(&state.path("dst")) <= 2 * MIB);
        let mut bytes = vec![1; size as usize + 100_000];
        copy.read_exact_at(&mut bytes, 0).unwrap();
        let (data, zeros) = bytes.split_at(size as usize);
        assert!(data == fs::read(state.path("src")).unwrap());
        assert!(zeros.iter().all(|&byte| byte == 0));
        let end = SIZE - bytes.len() as u64;
        copy.read_exact_at(&mut bytes, end).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}

#[tokio::test]
async fn a_larger_copy_of_an_empty_file_is_a_hole() {
    let mut state = State::new();
    text_file(state.dir(), "src", "");
    let options = Options::size(5000) | Options::REPLACE;
    for answer in copy_in_each_form(&mut state, options).await {
        let report = answer.unwrap();
        assert_eq!((report.size, report.copied), (5000, 0));
        assert_eq!(fs::read(state.path("dst")).unwrap(), [0; 5000]);
        assert_eq!(allocated(&state.path("dst")), 0);
    }
}

#[tokio::test]
async fn a_size_beyond_a_limit_is_file_too_large() {
    let builder = FastCopyCtx::builder;
    for (ctx, size) in [
        (builder().max_size(10), 11),
        (builder().max_size(10), u64::MAX),
        (builder(), DEFAULT_MAX_SIZE + 1),
        // Beyond what any file system can hold.
        (builder().max_size(u64::MAX), i64::MAX as u64),
        (builder().max_size(u64::MAX), u64::MAX),
    ] {
        let text = format!("{size} with {ctx:?}");
        let mut state = State::new().with(ctx);
        text_file(state.dir(), "src", "text");
        for answer in copy_in_each_form(&mut state, Options::size(size)).await {
            assert_eq!(answer.unwrap_err().code, ErrorCode::FileTooLarge, "{text}");
        }
        assert_eq!(names(state.dir()), ["src"]);
    }
    let mut state = State::new().with(builder().max_size(10));
    text_file(state.dir(), "src", "text");
    let options = Options::size(10) | Options::REPLACE;
    for answer in copy_in_each_form(&mut state, options).await {
        assert_eq!(answer.unwrap().size, 10);
    }
}

#[tokio::test]
async fn preserve_times_copies_the_times_of_modification_and_access() {
    let mut state = State::new();
    let src = text_file(state.dir(), "src", "text");
    let modified = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let accessed = SystemTime::UNIX_EPOCH + Duration::new(1_100_000_000, 987_654_321);
    let times = FileTimes::new()
        .set_modified(modified)
        .set_accessed(accessed);
    let options = Options::PRESERVE_TIMES | Options::REPLACE;
    for form in [None, Some(Form::Async), Some(Form::Sync), Some(Form::Job)] {
        // Reading the source can change the time of its last access.
        let file = File::options().write(true).open(&src).unwrap();
        file.set_times(times).unwrap();
        let answer = match form {
            None => state.sparse_copy("src", "dst", options).unwrap(),
            Some(form) => {
                let created = create_with(&mut state, options);
                let answer = copy_with(&mut state, form, &created).await;
                HostCopyOptions::drop(&mut state.view(), created).unwrap();
                answer
            }
        };
        assert_eq!(answer.unwrap().notes, CopyNotes::empty());
        let copy = fs::metadata(state.path("dst")).unwrap();
        assert_eq!(copy.modified().unwrap(), modified, "{form:?}");
        assert_eq!(copy.accessed().unwrap(), accessed, "{form:?}");
    }
    for answer in copy_in_each_form(&mut state, Options::REPLACE).await {
        assert_eq!(answer.unwrap().notes, CopyNotes::empty());
        let copy = fs::metadata(state.path("dst")).unwrap();
        assert!(copy.mtime() > 1_100_000_000 && copy.atime() > 1_100_000_000);
    }
}

/// Reports the sizes that hooks see.
struct Sizes(mpsc::Sender<(u64, u64)>);

impl CopyHooks for Sizes {
    fn authorize(&self, request: &CopyRequest<'_>) -> Decision {
        self.0.send((request.size, request.copy_size)).unwrap();
        Decision::Allow
    }
}

#[tokio::test]
async fn hooks_receive_the_size_that_the_copy_will_have() {
    let (sender, seen) = mpsc::channel();
    let mut state = State::new().with(FastCopyCtx::builder().hooks(Sizes(sender)));
    text_file(state.dir(), "src", "text");
    for (options, copy_size) in [(Options::empty(), 4), (Options::size(99), 99)] {
        let answers = copy_in_each_form(&mut state, options | Options::REPLACE).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(4, copy_size); 3]);
    }
    // They are not asked about a copy that can't be made.
    for size in [3, DEFAULT_MAX_SIZE + 1] {
        let answers = copy_in_each_form(&mut state, Options::size(size)).await;
        assert!(answers.iter().all(Result::is_err));
    }
    assert!(seen.try_recv().is_err(), "a hook was called");
}

/// A host that returns two different tables from its views.
#[tokio::test]
async fn a_descriptor_of_another_table_is_an_error_that_names_the_view() {
    let state = State::new();
    text_file(state.dir(), "src", "text");
    let (src, dst) = (|| state.borrow(), || state.borrow());
    let (from, to) = (|| "src".to_owned(), || "dst".to_owned());
    let mut other = ResourceTable::new();
    let mut ctx = FastCopyCtx::new();
    let view = &mut FastCopyCtxView {
        ctx: &mut ctx,
        table: &mut other,
    };
    let errors = [
        copy::Host::fast_copy(view, src(), from(), dst(), to(), None)
            .await
            .unwrap_err(),
        sync::copy::Host::sparse_copy(view, src(), from(), dst(), to(), None).unwrap_err(),
        view.start_fast_copy(src(), from(), dst(), to(), None)
            .unwrap_err(),
        inspect::Host::disk_usage(view, src(), from())
            .await
            .unwrap_err(),
        sync::inspect::Host::data_ranges(view, src(), from(), 0).unwrap_err(),
        sync::inspect::Host::can_reflink(view, src(), dst()).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("FastCopyCtxView"), "{error:#}");
    }
    assert!(ctx.jobs() == 0 && other.is_empty());
    assert_eq!(names(state.dir()), ["src"]);
}

/// Of the options too.
#[test]
fn options_of_another_table_are_an_error_that_names_the_view() {
    let mut state = State::new();
    text_file(state.dir(), "src", "text");
    let (src, dst) = (state.borrow(), state.borrow());
    let unknown = Some(Resource::new_borrow(4711));
    let (from, to) = ("src".to_owned(), "dst".to_owned());
    let mut view = state.view();
    let answer = sync::copy::Host::fast_copy(&mut view, src, from, dst, to, unknown);
    let error = answer.unwrap_err();
    assert!(error.to_string().contains("FastCopyCtxView"), "{error:#}");
    assert_eq!(names(state.dir()), ["src"]);
}
