//! `std::sync::mpsc`: a receiver parks, and the clock of the model ends its wait.

use system::fmt;
use system::sync::Mutex;
use system::sync::mpsc::{self, TryRecvError, TrySendError};
pub use system::sync::mpsc::{RecvError, RecvTimeoutError, SendError};

use crate::step;
use crate::sync::Arc;
use crate::task::Waker;
use crate::thread;
use crate::time::{self, Duration, Instant};

/// The receiver, while it waits.
type Waiting = Arc<Mutex<Option<Waker>>>;

fn wake(waiting: &Waiting) {
    let waker = waiting.lock().unwrap().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

pub fn sync_channel<T>(capacity: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, messages) = mpsc::sync_channel(capacity);
    let waiting = Waiting::default();
    let shared = waiting.clone();
    let sender = SyncSender(Some(sender), shared);
    (sender, Receiver { messages, waiting })
}

/// As wide as the host needs it: for one message.
pub fn channel<T>() -> (SyncSender<T>, Receiver<T>) {
    sync_channel(1)
}

pub struct SyncSender<T>(Option<mpsc::SyncSender<T>>, Waiting);

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

impl<T> SyncSender<T> {
    /// # Panics
    ///
    /// The channel is full: the host says that this can't be.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        step();
        let sender = self.0.as_ref().expect("it is there until the drop");
        match sender.try_send(message) {
            Ok(()) => wake(&self.1),
            Err(TrySendError::Full(_)) => panic!("the sender would block"),
            Err(TrySendError::Disconnected(message)) => return Err(SendError(message)),
        }
        Ok(())
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        step();
        self.0 = None;
        wake(&self.1);
    }
}

pub struct Receiver<T> {
    messages: mpsc::Receiver<T>,
    waiting: Waiting,
}

impl<T> Receiver<T> {
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receive(None).map_err(|_| RecvError)
    }

    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receive(Instant::now().checked_add(timeout))
    }

    fn receive(&self, until: Option<Instant>) -> Result<T, RecvTimeoutError> {
        loop {
            let is_late = until.is_some_and(|until| Instant::now() >= until);
            step();
            match self.messages.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if is_late => return Err(RecvTimeoutError::Timeout),
                Err(TryRecvError::Empty) => {}
            }
            // From the look at the messages until the thread is parked, no other thread runs.
            *self.waiting.lock().unwrap() = Some(thread::waker());
            if let Some(until) = until {
                time::wake_at(until, thread::waker());
            }
            thread::park();
        }
    }
}
