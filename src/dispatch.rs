//! Runs work under a permit: on the calling thread, or on one of our threads.

use std::any::Any;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fast_copy_engine::CopyControl;
use tokio::sync::{Notify, oneshot, watch};

use crate::admission::{Permit, Place, Queue};
use crate::error::CallError;
use crate::wait;

/// What a call returns to its front.
pub(crate) type Outcome<T> = Result<T, CallError>;

/// When the permit was granted, or why it was refused.
pub(crate) type Admission = Result<Instant, CallError>;

/// The time after the deadline in which a thread can report the timeout itself. A thread that hangs in a
/// system call does not; then its caller stops waiting for it.
const GRACE: Duration = Duration::from_millis(100);

/// What the dispatcher has to know about a call.
pub(crate) struct Ticket {
    pub(crate) queue: Queue,
    pub(crate) deadline: Option<Instant>,
    /// Cancels the work.
    pub(crate) control: CopyControl,
}

/// Waits for a permit and runs `work`, both on the calling thread.
pub(crate) fn run_here<T>(
    ticket: &Ticket,
    work: impl FnOnce(Admission) -> Outcome<T>,
) -> Outcome<T> {
    let permit = ticket.queue.permit_blocking(ticket.deadline);
    run_admitted(permit, work)
}

/// Waits for a permit without blocking, then runs `work` on the thread that polls.
pub(crate) async fn run_where_polled<T>(
    ticket: Ticket,
    work: impl FnOnce(Admission) -> Outcome<T>,
) -> Outcome<T> {
    let permit = ticket.queue.permit(ticket.deadline, pending()).await;
    run_admitted(permit, work)
}

fn run_admitted<T>(
    permit: Result<Permit, CallError>,
    work: impl FnOnce(Admission) -> Outcome<T>,
) -> Outcome<T> {
    match permit {
        Ok(permit) => work(Ok(permit.granted)),
        Err(refusal) => work(Err(refusal)),
    }
}

/// Prepares `work` for one of our threads. Nothing begins until the returned function is called, which
/// does not wait for a permit. The work runs once there is one. If it is not admitted, it is called with the
/// reason instead. When it has ended, `held` is released.
pub(crate) fn prepare<T, W>(ticket: Ticket, held: Held, work: W) -> (Running<T>, impl FnOnce())
where
    T: Send + 'static,
    W: FnOnce(Admission) -> Outcome<T> + Send + 'static,
{
    let Ticket {
        queue,
        deadline,
        control,
    } = ticket;
    let (sender, outcome) = oneshot::channel();
    let task = Task { work, sender, held };
    let canceller = Canceller {
        control,
        stop: Arc::default(),
    };
    let stopped = canceller.stop.clone();
    let running = Running {
        outcome,
        deadline,
        guard: CancelOnDrop(canceller),
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
                match queue.permit(deadline, stopped.notified()).await {
                    Ok(permit) => task.run_on_thread(permit),
                    Err(refusal) => task.refuse(refusal),
                }
            }),
        }
    };
    (running, begin)
}

/// What a job holds until its work has ended.
#[derive(Default)]
pub(crate) struct Held {
    /// Its place, which is free before its outcome is known.
    pub(crate) place: Option<Arc<Place>>,
    /// Dropping it announces the end, after the outcome is there.
    pub(crate) not_ended: Option<watch::Sender<()>>,
}

/// Work, and where its outcome goes.
struct Task<T, W> {
    work: W,
    sender: oneshot::Sender<Ended<T>>,
    held: Held,
}

/// The outcome of work, or the payload of its panic.
type Ended<T> = Result<Outcome<T>, Box<dyn Any + Send>>;

impl<T, W> Task<T, W>
where
    T: Send + 'static,
    W: FnOnce(Admission) -> Outcome<T> + Send + 'static,
{
    fn run_on_thread(self, permit: Permit) {
        match permit.thread() {
            Ok(thread) => thread.run(Box::new(move || {
                let Self { work, sender, held } = self;
                let granted = permit.granted;
                let ended = catch_unwind(AssertUnwindSafe(|| work(Ok(granted))));
                Box::new(move || {
                    // The slot is free before the caller knows that its call has ended.
                    drop(permit);
                    finish(held, sender, ended);
                })
            })),
            Err(_) => {
                drop(permit);
                self.refuse(CallError::Busy(
                    "the host can't start a thread for the call",
                ));
            }
        }
    }

    fn refuse(self, refusal: CallError) {
        let Self { work, sender, held } = self;
        finish(held, sender, Ok(work(Err(refusal))));
    }
}

/// Delivers the outcome of work: frees the place, sends the outcome, then announces the end.
fn finish<T>(held: Held, sender: oneshot::Sender<Ended<T>>, ended: Ended<T>) {
    drop(held.place);
    let _ = sender.send(ended);
    drop(held.not_ended);
}

/// Work that runs, or waits for its permit. Dropping it cancels the work.
pub(crate) struct Running<T> {
    outcome: oneshot::Receiver<Ended<T>>,
    deadline: Option<Instant>,
    guard: CancelOnDrop,
}

impl<T> Running<T> {
    /// Work that was refused before it could begin.
    pub(crate) fn refused(error: CallError) -> Self {
        let (sender, outcome) = oneshot::channel();
        let _ = sender.send(Ok(Err(error)));
        Self {
            outcome,
            deadline: None,
            guard: CancelOnDrop(Canceller {
                control: CopyControl::new(),
                stop: Arc::default(),
            }),
        }
    }

    pub(crate) fn control(&self) -> &CopyControl {
        &self.guard.0.control
    }

    /// Returns what cancels the work.
    pub(crate) fn canceller(&self) -> Canceller {
        self.guard.0.clone()
    }

    /// Returns the instant at which a caller stops waiting for the work.
    pub(crate) fn patience(&self) -> Option<Instant> {
        self.deadline?.checked_add(GRACE)
    }

    /// Waits until the work has ended, or until its deadline has passed and it is cancelled.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the work.
    pub(crate) async fn outcome(mut self) -> Outcome<T> {
        match wait::until(self.patience(), &mut self.outcome).await {
            Ok(Some(ended)) => unpack(ended),
            Ok(None) if self.guard.0.cancel() => Err(CallError::TimedOut),
            // It is being published, or has ended.
            _ => unpack(wait::guarded(&mut self.outcome).await),
        }
    }

    /// Waits until the work has ended, and blocks the calling thread.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the work.
    pub(crate) fn outcome_blocking(self) -> Outcome<T> {
        wait::block_on(None, self.outcome()).expect("there is no deadline")
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
pub(crate) struct Canceller {
    control: CopyControl,
    /// Makes waiting work leave its queue.
    stop: Arc<Notify>,
}

impl Canceller {
    /// Cancels the work, and returns whether it will not publish anything.
    pub(crate) fn cancel(&self) -> bool {
        let cancelled = self.control.cancel();
        self.stop.notify_one();
        cancelled
    }
}

/// Cancels work when it is dropped.
struct CancelOnDrop(Canceller);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
