//! Runs work under a permit: on the calling thread, or on one of our threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fast_copy_engine::CopyControl;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot, watch};

use crate::admission::{Permit, Place, Queue};
use crate::error::CallError;
use crate::wait;

/// What a call returns to its front.
pub(crate) type Outcome<T> = Result<T, CallError>;

/// When the work begins, or why it was not admitted.
pub(crate) type Admission = Result<Start, CallError>;

/// When work begins, and when it must have ended.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) granted: Instant,
    /// None if there is no limit, or if it is beyond the clock's range.
    pub(crate) deadline: Option<Instant>,
}

impl Start {
    fn new(permit: &Permit, timeout: Option<Duration>) -> Self {
        let granted = permit.granted;
        Self {
            granted,
            deadline: timeout.and_then(|time| granted.checked_add(time)),
        }
    }

    /// Returns the instant at which a caller stops waiting for the work.
    fn patience(self) -> Option<Instant> {
        self.deadline?.checked_add(GRACE)
    }
}

/// The time after the deadline in which a thread can report the timeout itself. A thread that hangs in a
/// system call does not; then its caller stops waiting for it.
const GRACE: Duration = Duration::from_millis(100);

const WORKED_TOO_LONG: CallError = CallError::TimedOut("the call has worked too long");

/// What the dispatcher has to know about a call.
pub(crate) struct Ticket {
    pub(crate) queue: Queue,
    /// When the call stops waiting for its permit.
    pub(crate) wait_until: Option<Instant>,
    /// How long the work may take, once there is a permit.
    pub(crate) timeout: Option<Duration>,
    /// Cancels the work.
    pub(crate) control: CopyControl,
}

/// Waits for a permit and runs `work`, both on the calling thread.
pub(crate) fn run_here<T>(
    ticket: &Ticket,
    work: impl FnOnce(Admission) -> Outcome<T>,
) -> Outcome<T> {
    match ticket.queue.permit_blocking(ticket.wait_until) {
        Ok(permit) => run_with(&permit, ticket.timeout, work),
        Err(refusal) => work(Err(refusal)),
    }
}

/// Runs `work` under a permit on the calling thread.
pub(crate) fn run_with<T>(
    permit: &Permit,
    timeout: Option<Duration>,
    work: impl FnOnce(Admission) -> Outcome<T>,
) -> Outcome<T> {
    work(Ok(Start::new(permit, timeout)))
}

/// Prepares `work` for one of our threads. Nothing begins until the returned function is called, which
/// does not wait for a permit. The work runs once there is one. If it is not admitted, it is called with the
/// reason instead. When it has ended, the work's share of `place` is dropped.
pub(crate) fn prepare<T, W>(
    ticket: Ticket,
    place: Option<Arc<Place>>,
    work: W,
) -> (Running<T>, impl FnOnce())
where
    T: Send + 'static,
    W: FnOnce(Admission) -> Outcome<T> + Send + 'static,
{
    let Ticket {
        queue,
        wait_until,
        timeout,
        control,
    } = ticket;
    let (outcome_sender, outcome) = oneshot::channel();
    let (start, started) = watch::channel(None);
    let task = Task {
        work,
        timeout,
        callers: Callers {
            place,
            outcome: outcome_sender,
            start,
        },
    };
    let canceller = Canceller {
        control,
        stop: Arc::default(),
    };
    let stopped = canceller.stop.clone();
    let running = Running {
        outcome,
        end: End { started, canceller },
    };
    let begin = move || {
        // Without it, the deadline would not end a call whose thread hangs.
        let Ok(runtime) = wait::runtime() else {
            return task.refuse(CallError::Busy(wait::NO_THREAD));
        };
        match queue.try_permit() {
            Some(permit) => task.run_on_thread(permit),
            // In a task of its own: the host may stop polling the guest's future, and a slot that was
            // granted to it meanwhile would be lost to all stores.
            None => wait::spawn(runtime, async move {
                match queue.permit(wait_until, stopped.notified()).await {
                    Ok(permit) => task.run_on_thread(permit),
                    Err(refusal) => task.refuse(refusal),
                }
            }),
        }
    };
    (running, begin)
}

/// Work, its time limit, and where its outcome goes.
struct Task<T, W> {
    work: W,
    timeout: Option<Duration>,
    callers: Callers<T>,
}

/// What a caller sees of its work.
struct Callers<T> {
    /// The work's share of a job's place. It is dropped before the outcome is known.
    place: Option<Arc<Place>>,
    outcome: oneshot::Sender<Ended<T>>,
    /// When the work began. Dropping it announces the end, after the outcome is there.
    start: watch::Sender<Option<Start>>,
}

/// The outcome of work, or the payload of its panic.
type Ended<T> = Result<Outcome<T>, Box<dyn Any + Send>>;

impl<T> Callers<T> {
    fn tell(self, ended: Ended<T>) {
        drop(self.place);
        let _ = self.outcome.send(ended);
        drop(self.start);
    }
}

impl<T, W> Task<T, W>
where
    T: Send + 'static,
    W: FnOnce(Admission) -> Outcome<T> + Send + 'static,
{
    fn run_on_thread(self, permit: Permit) {
        match permit.thread() {
            Ok(thread) => {
                let start = Start::new(&permit, self.timeout);
                self.callers.start.send_replace(Some(start));
                thread.run(Box::new(move || {
                    let Self { work, callers, .. } = self;
                    let ended = catch_unwind(AssertUnwindSafe(|| work(Ok(start))));
                    Box::new(move || {
                        // The slot is free before the caller knows that its call has ended.
                        drop(permit);
                        callers.tell(ended);
                    })
                }));
            }
            Err(_) => {
                drop(permit);
                self.refuse(CallError::Busy(
                    "the host can't start a thread for the call",
                ));
            }
        }
    }

    fn refuse(self, refusal: CallError) {
        let Self { work, callers, .. } = self;
        callers.tell(Ok(work(Err(refusal))));
    }
}

/// Work that runs, or waits for its permit. Dropping it cancels the work.
pub(crate) struct Running<T> {
    outcome: oneshot::Receiver<Ended<T>>,
    end: End,
}

impl<T> Running<T> {
    /// Work that was refused before it could begin.
    pub(crate) fn refused(error: CallError) -> Self {
        let (sender, outcome) = oneshot::channel();
        let _ = sender.send(Ok(Err(error)));
        Self {
            outcome,
            end: End {
                started: watch::channel(None).1,
                canceller: Canceller {
                    control: CopyControl::new(),
                    stop: Arc::default(),
                },
            },
        }
    }

    /// Returns the end of the work. A clone of it can outlive this.
    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    /// Cancels the work.
    pub(crate) fn cancel(&self) {
        self.end.canceller.cancel();
    }

    /// Waits until the work has ended, or until its deadline has passed and it is cancelled.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the work.
    pub(crate) async fn outcome(mut self) -> Outcome<T> {
        let patience = self.end.patience().await;
        match wait::until(patience, &mut self.outcome).await {
            Ok(Some(ended)) => unpack(ended),
            Ok(None) if self.end.canceller.cancel() => Err(WORKED_TOO_LONG),
            // It is being published, or has ended.
            _ => unpack(wait::guarded(&mut self.outcome).await),
        }
    }

    /// Returns the outcome, or none if the end has not come. It can be taken once.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the work.
    pub(crate) fn try_outcome(&mut self) -> Option<Outcome<T>> {
        if let Some(outcome) = self.received() {
            return Some(outcome);
        }
        if !self.end.has_ended() {
            return None;
        }
        // The work can have ended since.
        Some(self.received().unwrap_or(Err(WORKED_TOO_LONG)))
    }

    fn received(&mut self) -> Option<Outcome<T>> {
        match self.outcome.try_recv() {
            Ok(ended) => Some(unpack(Ok(ended))),
            Err(TryRecvError::Closed) => Some(Err(CallError::Lost)),
            Err(TryRecvError::Empty) => None,
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The end of work: it has ended, or its deadline has passed and it is cancelled.
#[derive(Clone)]
pub(crate) struct End {
    /// When the work began, if it has. Closed when it has ended.
    started: watch::Receiver<Option<Start>>,
    canceller: Canceller,
}

impl End {
    pub(crate) fn control(&self) -> &CopyControl {
        &self.canceller.control
    }

    /// Returns whether the end has come. Cancels work whose deadline has passed.
    pub(crate) fn has_ended(&self) -> bool {
        let patience = self.started.borrow().and_then(Start::patience);
        self.started.has_changed().is_err()
            || patience.is_some_and(|until| Instant::now() >= until) && self.canceller.cancel()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&mut self) {
        let patience = self.patience().await;
        match wait::until(patience, self.ended()).await {
            Ok(Some(())) => return,
            Ok(None) if self.canceller.cancel() => return,
            // It is being published, or has ended.
            _ => {}
        }
        wait::guarded(self.ended()).await;
    }

    /// Waits until the work begins or is refused, and returns the instant at which a caller stops waiting
    /// for its end. Before the work begins, `wait_until` ends the wait, and no system call can hang.
    async fn patience(&mut self) -> Option<Instant> {
        let started = wait::guarded(self.started.wait_for(Option::is_some)).await;
        started.ok()?.and_then(Start::patience)
    }

    async fn ended(&mut self) {
        // Only a closed channel ends this.
        let _ = self.started.wait_for(|_| false).await;
    }
}

fn unpack<T>(ended: Result<Ended<T>, oneshot::error::RecvError>) -> Outcome<T> {
    match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(CallError::Lost),
    }
}

/// Cancels work. The work's thread can't be stopped from outside, so it checks the control.
#[derive(Clone)]
struct Canceller {
    control: CopyControl,
    /// Makes waiting work leave its queue.
    stop: Arc<Notify>,
}

impl Canceller {
    /// Cancels the work, and returns whether it will not publish anything.
    fn cancel(&self) -> bool {
        let cancelled = self.control.cancel();
        self.stop.notify_one();
        cancelled
    }
}
