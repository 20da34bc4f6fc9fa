//! What the host uses of `tokio::runtime`: one thread that polls tasks in the order in which they are woken.

use system::cell::RefCell;
use system::collections::VecDeque;
use system::io;
use system::marker::PhantomData;
use system::pin::Pin;
use system::sync::Mutex;
use system::sync::atomic::{AtomicBool, Ordering};

use crate::future::Future;
use crate::step;
use crate::sync::Arc;
use crate::task::{Context, Wake, Waker};
use crate::thread;

system::thread_local!(static RUNTIME: RefCell<State> = const { RefCell::new(State::new()) });

struct State {
    woken: VecDeque<Arc<Task>>,
    unfinished: usize,
    stopping: bool,
    waiting: Option<Waker>,
}

impl State {
    const fn new() -> Self {
        Self {
            woken: VecDeque::new(),
            unfinished: 0,
            stopping: false,
            waiting: None,
        }
    }
}

struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    is_woken: AtomicBool,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::Relaxed) {
            RUNTIME.with_borrow_mut(|state| state.woken.push_back(self));
            wake_runtime();
        }
    }
}

fn wake_runtime() {
    let waiting = RUNTIME.with_borrow_mut(|state| state.waiting.take());
    if let Some(waker) = waiting {
        waker.wake();
    }
}

/// Prepares an execution of a model.
pub(crate) fn reset() {
    RUNTIME.set(State::new());
}

/// Polls tasks until [`stop`] is called and all tasks have ended.
pub(crate) fn serve() {
    loop {
        let Some(task) = RUNTIME.with_borrow_mut(|state| state.woken.pop_front()) else {
            if RUNTIME.with_borrow(|state| state.stopping && state.unfinished == 0) {
                return;
            }
            RUNTIME.with_borrow_mut(|state| state.waiting = Some(thread::waker()));
            thread::park();
            continue;
        };
        step();
        task.is_woken.store(false, Ordering::Relaxed);
        let Some(mut future) = task.future.lock().unwrap().take() else {
            continue;
        };
        let waker = Waker::from(task.clone());
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            *task.future.lock().unwrap() = Some(future);
        } else {
            drop(future);
            RUNTIME.with_borrow_mut(|state| state.unfinished -= 1);
        }
    }
}

/// Ends [`serve`] once all tasks have ended.
pub(crate) fn stop() {
    RUNTIME.with_borrow_mut(|state| state.stopping = true);
    wake_runtime();
}

pub struct Builder;

impl Builder {
    pub fn new_current_thread() -> Self {
        Self
    }

    pub fn enable_time(&mut self) -> &mut Self {
        self
    }

    pub fn build(&mut self) -> io::Result<Runtime> {
        Ok(Runtime(Handle))
    }
}

pub struct Runtime(Handle);

impl Runtime {
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// Returns at once: [`serve`] runs the tasks.
    pub fn block_on(&self, future: impl Future<Output = ()>) {
        drop(future);
    }
}

#[derive(Clone, Debug)]
pub struct Handle;

#[must_use]
pub struct EnterGuard<'a>(PhantomData<&'a Handle>);

impl Handle {
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard(PhantomData)
    }

    pub fn spawn(&self, future: Pin<Box<impl Future<Output = ()> + Send + 'static>>) {
        step();
        RUNTIME.with_borrow_mut(|state| state.unfinished += 1);
        let task = Arc::new(Task {
            future: Mutex::new(Some(future)),
            is_woken: AtomicBool::new(false),
        });
        task.wake();
    }
}
