//! `std::thread`: threads whose order the schedule decides, and whose start can fail.

use shuttle::rand::Rng;
pub use shuttle::thread::{Thread, ThreadId, current, park, spawn, yield_now};
use system::cell::RefCell;
use system::io;

use crate::sync::Arc;
use crate::task::{Wake, Waker};
use crate::time::{self, Duration, Instant};

system::thread_local!(static STARTS: RefCell<Starts> = const { RefCell::new(Starts::new()) });

/// What a model knows of the threads that the host starts.
struct Starts {
    /// A start fails with this probability.
    failing: f64,
    alive: usize,
    most_alive: usize,
}

impl Starts {
    const fn new() -> Self {
        Self {
            failing: 0.0,
            alive: 0,
            most_alive: 0,
        }
    }
}

/// Prepares an execution of a model.
pub(crate) fn reset() {
    STARTS.set(Starts::new());
}

/// Lets starts of threads fail from now on, with a probability.
pub(crate) fn fail_starts(failing: f64) {
    STARTS.with_borrow_mut(|starts| starts.failing = failing);
}

/// Returns how many threads of the host existed at the same time, at most.
pub(crate) fn most_alive() -> usize {
    STARTS.with_borrow(|starts| starts.most_alive)
}

/// Stands for the engine's function, which fails if the process may have no more threads or memory.
pub fn thread_builder(name: &str) -> io::Result<Builder> {
    Builder::new().name(name.to_owned()).checked()
}

#[derive(Default)]
pub struct Builder(shuttle::thread::Builder);

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    fn checked(self) -> io::Result<Self> {
        let failing = STARTS.with_borrow(|starts| starts.failing);
        if failing > 0.0 && shuttle::rand::thread_rng().gen_bool(failing) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self)
    }

    pub fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<shuttle::thread::JoinHandle<T>> {
        struct Alive;
        impl Drop for Alive {
            fn drop(&mut self) {
                STARTS.with_borrow_mut(|starts| starts.alive -= 1);
            }
        }
        let Self(builder) = self.checked()?;
        STARTS.with_borrow_mut(|starts| {
            starts.alive += 1;
            starts.most_alive = starts.most_alive.max(starts.alive);
        });
        builder.spawn(move || {
            let _alive = Alive;
            run()
        })
    }
}

/// Blocks until the thread is unparked or the clock has passed the duration.
pub fn park_timeout(duration: Duration) {
    if let Some(until) = Instant::now().checked_add(duration) {
        time::wake_at(until, waker());
    }
    park();
}

/// Returns a waker that unparks the calling thread.
pub(crate) fn waker() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unpark(current())))
}
