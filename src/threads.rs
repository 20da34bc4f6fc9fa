//! The threads that calls run on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fast_copy_engine::thread_builder;

/// How long a thread waits for more work before it ends: as long as a thread of tokio's blocking pool.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A piece of work. It returns what is left to do once its thread is ready for more work.
pub(crate) type Work = Box<dyn FnOnce() -> Box<dyn FnOnce() + Send> + Send>;

/// Threads that are started when needed, and end after [`KEEP_ALIVE`] without work, or when this is
/// dropped.
///
/// A thread becomes idle before its work's last step runs. That step frees the slot. So a caller that
/// holds a slot either finds an idle thread, or may start one, because there are fewer threads than slots.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    idle: Arc<Mutex<Vec<IdleThread>>>,
}

#[derive(Debug)]
struct IdleThread {
    id: u64,
    inbox: SyncSender<Message>,
}

struct Message {
    work: Work,
    /// The thread's own entry, for the next time that it is idle. It is not kept by the thread, so that
    /// dropping the list ends the thread.
    own: IdleThread,
}

/// A thread that waits for its work. Dropping it ends the thread.
pub(crate) struct ReadyThread(IdleThread);

impl Threads {
    /// Takes an idle thread, or starts one.
    ///
    /// # Errors
    ///
    /// The system has no thread, or no memory for one.
    pub(crate) fn take(&self) -> io::Result<ReadyThread> {
        if let Some(thread) = lock(&self.idle).pop() {
            return Ok(ReadyThread(thread));
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (inbox, messages) = mpsc::sync_channel(1);
        let idle = Arc::downgrade(&self.idle);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        thread_builder("fast-copy")?.spawn(move || run_messages(&messages, &idle, id))?;
        Ok(ReadyThread(IdleThread { id, inbox }))
    }
}

impl ReadyThread {
    /// Runs `work` on the thread. It must not panic.
    pub(crate) fn run(self, work: Work) {
        let inbox = self.0.inbox.clone();
        // The inbox is empty, and a thread that is not in the list of idle ones waits for its message.
        let sent = inbox.send(Message { work, own: self.0 });
        debug_assert!(sent.is_ok(), "the thread has ended");
    }
}

/// Runs on each thread.
fn run_messages(messages: &Receiver<Message>, idle: &Weak<Mutex<Vec<IdleThread>>>, id: u64) {
    while let Some(Message { work, own }) = next(messages, idle, id) {
        let last_step = work();
        // Without a list, nothing takes this thread any more.
        let listed = idle.upgrade().map(|idle| lock(&idle).push(own));
        // It can drop a hook's panic payload, whose `Drop` may panic. The thread is listed, so it must go on.
        let _ = catch_unwind(AssertUnwindSafe(last_step));
        if listed.is_none() {
            return;
        }
    }
}

/// Waits for the next message. None: the thread ends.
fn next(
    messages: &Receiver<Message>,
    idle: &Weak<Mutex<Vec<IdleThread>>>,
    id: u64,
) -> Option<Message> {
    match messages.recv_timeout(KEEP_ALIVE) {
        Ok(message) => Some(message),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            let listed = idle.upgrade().and_then(|idle| {
                let mut idle = lock(&idle);
                let place = idle.iter().position(|thread| thread.id == id)?;
                Some(idle.swap_remove(place))
            });
            match listed {
                Some(_) => None,
                // A caller has just taken this thread.
                None => messages.recv().ok(),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::thread;

    use super::*;

    fn run_and_wait(threads: &Threads) -> thread::ThreadId {
        let (sender, receiver) = mpsc::channel();
        let work: Work = Box::new(move || {
            let id = thread::current().id();
            Box::new(move || sender.send(id).unwrap())
        });
        threads.take().unwrap().run(work);
        receiver.recv().unwrap()
    }

    #[test]
    fn a_thread_is_idle_before_the_last_step_of_its_work() {
        let threads = Threads::default();
        let first = run_and_wait(&threads);
        for _ in 0..1000 {
            assert_eq!(run_and_wait(&threads), first);
        }
    }

    #[test]
    fn a_thread_ends_when_its_list_is_dropped() {
        struct TellAtEnd(mpsc::Sender<()>);
        impl Drop for TellAtEnd {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        thread_local!(static END: RefCell<Option<TellAtEnd>> = const { RefCell::new(None) });

        let threads = Threads::default();
        let (sender, ended) = mpsc::channel();
        threads.take().unwrap().run(Box::new(move || {
            END.set(Some(TellAtEnd(sender)));
            Box::new(|| ())
        }));
        run_and_wait(&threads);
        drop(threads);
        ended.recv().unwrap();
    }
}
