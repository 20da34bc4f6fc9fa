//! One call of a guest, as the host's own types: decode, resolve, authorize, copy.
//!
//! Copies, jobs and the functions of `inspect` are all a [`Call`]. A front passes the guest's arguments
//! in, chooses where the call runs, and converts the outcome.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use fast_copy_engine::{
    CopyControl, CopyOptions, CopyReport, DataRange, ExtentSummary, FileUsage, Operand,
    ReflinkSupport, Sharing, Source, can_reflink, data_ranges, disk_usage, summarize_extents,
};
use tracing::Span;
use wasmtime_wasi::filesystem::Descriptor;

use crate::admission::Place;
use crate::ctx::FastCopyCtx;
use crate::dispatch::{self, Admission, Outcome, Running, Start, Ticket};
use crate::error::CallError;
use crate::hooks::{CopyRequest, CopyTimes, Decision};
use crate::options::Wanted;
use crate::sandbox::{self, Opened, PathAt};
use crate::settings::{Allowed, Settings, without_sharing};
use crate::trace;

/// The largest number of ranges that a call for `inspect.data-ranges` returns.
pub(crate) const MAX_RANGES: usize = 1024;

/// A decoded call, or the reason why it is refused.
pub(crate) struct Call<T> {
    decoded: Result<(Ticket, Work<T>), CallError>,
    called: Instant,
    may_block_executor: bool,
    span: Span,
}

/// The work of a call. It runs under a permit, within the call's span.
type Work<T> = Box<dyn FnOnce(Clock) -> Outcome<T> + Send>;

/// When a call was made, and when its work began.
#[derive(Clone, Copy)]
struct Clock {
    called: Instant,
    start: Start,
}

impl Clock {
    /// Returns how long the call has waited and worked until now.
    fn times(self) -> CopyTimes {
        let granted = self.start.granted;
        CopyTimes {
            waited: granted - self.called,
            worked: granted.elapsed(),
        }
    }

    /// Sets the deadline of the work.
    fn limit(self, options: CopyOptions) -> CopyOptions {
        match self.start.deadline {
            Some(deadline) => options.deadline(deadline),
            None => options,
        }
    }
}

impl<T: Send + 'static> Call<T> {
    /// Runs the call on the calling thread.
    pub(crate) fn run_blocking(self) -> Outcome<T> {
        let Self { called, span, .. } = self;
        let (ticket, work) = self.decoded.map_err(|error| trace::failed(&span, error))?;
        dispatch::run_here(&ticket, |admission| perform(&span, called, work, admission))
    }

    /// Runs the call on one of our threads. Dropping the future cancels the call.
    ///
    /// If the host allows to block the thread that polls, a call that finds a free slot runs there. A call that has
    /// to wait does not: a slot that is granted while nobody polls the future would be lost to all stores.
    pub(crate) async fn run(self) -> Outcome<T> {
        if self.may_block_executor
            && let Ok((ticket, _)) = &self.decoded
            && let Some(permit) = ticket.queue.try_permit()
        {
            let Self { called, span, .. } = self;
            let (ticket, work) = self.decoded.map_err(|error| trace::failed(&span, error))?;
            return dispatch::run_with(&permit, ticket.timeout, |admission| {
                perform(&span, called, work, admission)
            });
        }
        let (running, begin) = self.prepare(None);
        begin();
        running.outcome().await
    }

    /// Prepares the call for one of our threads. Nothing begins until the returned function is called.
    pub(crate) fn prepare(
        self,
        place: Option<Arc<Place>>,
    ) -> (Running<T>, Box<dyn FnOnce() + Send>) {
        let Self { called, span, .. } = self;
        match self.decoded {
            Ok((ticket, work)) => {
                let (running, begin) = dispatch::prepare(ticket, place, move |admission| {
                    perform(&span, called, work, admission)
                });
                (running, Box::new(begin))
            }
            Err(error) => {
                let refused = Running::refused(trace::failed(&span, error));
                (refused, Box::new(|| ()))
            }
        }
    }

    /// Refuses the call.
    pub(crate) fn refuse(self, error: CallError) -> CallError {
        trace::failed(&self.span, error)
    }
}

/// Does the work of an admitted call within its span, and records its times and its error there.
fn perform<T>(span: &Span, called: Instant, work: Work<T>, admission: Admission) -> Outcome<T> {
    let start = admission.map_err(|refusal| trace::failed(span, refusal))?;
    let clock = Clock { called, start };
    let _entered = span.enter();
    let result = work(clock);
    trace::times(span, clock.times());
    result.map_err(|error| trace::failed(span, error))
}

impl FastCopyCtx {
    /// Decodes a copy.
    pub(crate) fn copy(
        &self,
        sharing: Sharing,
        (src, src_path): (&Descriptor, String),
        (dst, dst_path): (&Descriptor, String),
        wanted: Wanted,
    ) -> Call<CopyReport> {
        let span = trace::copy(&src_path, &dst_path, sharing, wanted);
        let max_path = self.settings.max_path;
        self.call(span.clone(), |ticket| {
            let Allowed {
                sharing,
                durable,
                options,
            } = self.settings.allow(sharing, wanted)?;
            let copy = Copy {
                source: PathAt::source(src, src_path, max_path)?,
                destination: PathAt::destination(dst, dst_path, max_path)?,
                wanted,
                sharing,
                durable,
                options: options.control(ticket.control.clone()),
                control: ticket.control.clone(),
                settings: self.settings.clone(),
                span,
            };
            Ok(Box::new(move |clock| copy.make(clock)))
        })
    }

    /// Decodes `inspect.disk-usage`.
    pub(crate) fn disk_usage(&self, dir: &Descriptor, path: String) -> Call<FileUsage> {
        let span = trace::inspect(&path);
        self.call(span.clone(), |_| {
            let at = PathAt::source(dir, path, self.settings.max_path)?;
            Ok(Box::new(move |_| {
                let usage = disk_usage(&at.open_handle(false)?)?;
                trace::opened(&span, usage.size);
                Ok(usage)
            }))
        })
    }

    /// Decodes `inspect.summarize-extents`.
    pub(crate) fn summarize_extents(&self, dir: &Descriptor, path: String) -> Call<ExtentSummary> {
        let span = trace::inspect(&path);
        self.call(span.clone(), |ticket| {
            let at = PathAt::source(dir, path, self.settings.max_path)?;
            let options = CopyOptions::new().control(ticket.control.clone());
            Ok(Box::new(move |clock| {
                let source = Source::from_handle(at.open_handle(false)?)?;
                trace::opened(&span, source.size());
                Ok(summarize_extents(&source, &clock.limit(options))?)
            }))
        })
    }

    /// Decodes `inspect.data-ranges`, which returns at most [`MAX_RANGES`].
    pub(crate) fn data_ranges(
        &self,
        dir: &Descriptor,
        path: String,
        start: u64,
    ) -> Call<Vec<DataRange>> {
        let span = trace::inspect(&path);
        let file = self.ranged_file(dir, path);
        self.data_ranges_of(file, start, span)
    }

    /// Describes a file whose ranges a guest asks for. Opens nothing yet.
    pub(crate) fn ranged_file(&self, dir: &Descriptor, path: String) -> Outcome<Arc<RangedFile>> {
        Ok(Arc::new(RangedFile {
            at: PathAt::source(dir, path, self.settings.max_path)?,
            opened: OnceLock::new(),
        }))
    }

    /// Decodes a call for at most [`MAX_RANGES`] ranges of a file. The first such call opens it.
    pub(crate) fn data_ranges_of(
        &self,
        file: Outcome<Arc<RangedFile>>,
        start: u64,
        span: Span,
    ) -> Call<Vec<DataRange>> {
        self.call(span.clone(), |ticket| {
            let file = file?;
            let options = CopyOptions::new().control(ticket.control.clone());
            Ok(Box::new(move |clock| {
                let source = file.open()?;
                trace::opened(&span, source.size());
                let options = clock.limit(options);
                Ok(data_ranges(source, start, MAX_RANGES, &options)?)
            }))
        })
    }

    /// Decodes `inspect.can-reflink`.
    pub(crate) fn can_reflink(&self, src: &Descriptor, dst: &Descriptor) -> Call<ReflinkSupport> {
        let allow_sharing = self.settings.allow_sharing;
        self.call(trace::inspect("."), |_| {
            let source = PathAt::source(src, ".".to_owned(), usize::MAX)?;
            let destination = PathAt::destination(dst, ".".to_owned(), usize::MAX)?;
            Ok(Box::new(move |_| {
                let [sources, copies] = sandbox::open_directories(&source, &destination)?;
                if !allow_sharing {
                    return Ok(ReflinkSupport::No);
                }
                can_reflink(&sources, &copies)
                    .map_err(|error| CallError::Path(Operand::Destination, error))
            }))
        })
    }

    fn call<T>(
        &self,
        span: Span,
        decode: impl FnOnce(&Ticket) -> Result<Work<T>, CallError>,
    ) -> Call<T> {
        let called = Instant::now();
        let wait_timeout = self.settings.wait_timeout;
        let ticket = Ticket {
            queue: self.queue.clone(),
            wait_until: wait_timeout.and_then(|time| called.checked_add(time)),
            timeout: self.settings.timeout,
            control: CopyControl::new(),
        };
        Call {
            decoded: decode(&ticket).map(|work| (ticket, work)),
            called,
            may_block_executor: self.settings.allow_blocking_current_thread,
            span,
        }
    }
}

/// A file whose ranges a guest asks for. It stays open once a call has opened it.
pub(crate) struct RangedFile {
    pub(crate) at: PathAt,
    opened: OnceLock<Source>,
}

impl RangedFile {
    fn open(&self) -> Outcome<&Source> {
        if let Some(source) = self.opened.get() {
            return Ok(source);
        }
        let source = Source::from_handle(self.at.open_handle(false)?)?;
        Ok(self.opened.get_or_init(|| source))
    }
}

/// A decoded copy.
struct Copy {
    source: PathAt,
    destination: PathAt,
    wanted: Wanted,
    sharing: Sharing,
    durable: bool,
    options: CopyOptions,
    control: CopyControl,
    settings: Arc<Settings>,
    span: Span,
}

impl Copy {
    fn make(mut self, clock: Clock) -> Outcome<CopyReport> {
        self.options = clock.limit(self.options);
        let result = self.try_make(clock);
        trace::refusals(&self.span, &self.control);
        if let Ok(report) = &result {
            trace::report(&self.span, report);
        }
        result
    }

    fn try_make(&self, clock: Clock) -> Outcome<CopyReport> {
        if self.control.is_cancelled() {
            return Err(CallError::Cancelled);
        }
        let opened = sandbox::open(&self.source, &self.destination, self.wanted.symlink_follow)?;
        trace::opened(&self.span, opened.source.size());
        self.options.check_size(&opened.source)?;
        let copy = |sharing, on_progress: &(dyn Fn(u64) + Sync)| {
            self.options
                .copy(&opened.source, &opened.destination, sharing, on_progress)
        };
        let Some(hooks) = &self.settings.hooks else {
            return Ok(copy(self.sharing, &|_| ())?);
        };
        let hooks = &*hooks.0;
        let request = self.request(&opened, self.sharing);
        let sharing = match hooks.authorize(&request) {
            Decision::Allow => self.sharing,
            Decision::AllowWithoutSharing => without_sharing(self.wanted)?,
            Decision::Deny => return Err(CallError::Denied("the host does not allow this copy")),
        };
        let request = self.request(&opened, sharing);
        hooks.started(&request, &self.control);
        let result = copy(sharing, &|copied| hooks.progress(&request, copied));
        hooks.ended(&request, result.as_ref(), clock.times());
        Ok(result?)
    }

    /// Returns what the host's hooks see.
    fn request<'a>(&'a self, opened: &'a Opened<'_>, sharing: Sharing) -> CopyRequest<'a> {
        let Opened {
            src_dir,
            source,
            dst_dir,
            destination,
        } = opened;
        CopyRequest {
            may_share: sharing == Sharing::Allowed,
            source,
            src_dir: &src_dir.dir,
            src_path: self.source.path(),
            src_perms: src_dir.perms,
            destination,
            dst_dir: &dst_dir.dir,
            dst_path: self.destination.path(),
            dst_perms: dst_dir.perms,
            size: source.size(),
            copy_size: self.wanted.size.unwrap_or(source.size()),
            allocated: source.allocated(),
            replace: self.wanted.replace,
            durable: self.durable,
        }
    }
}
