//! Copies that are held back, and slots that are taken.

use std::fs;
use std::sync::{Arc, Condvar, Mutex};

use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::CopyJob;
use wasmtime_fast_copy::{CopyControl, CopyHooks, CopyRequest, CopySlots, FastCopyCtx};

use crate::options::Options;
use crate::state::State;
use crate::waiting::wait_until;

/// Holds copies that have a slot, before they begin. Dropping it lets them go on.
#[derive(Default)]
pub struct HeldCopies(Arc<Hold>);

#[derive(Default)]
struct Hold {
    state: Mutex<HoldState>,
    changed: Condvar,
}

#[derive(Default)]
struct HoldState {
    held: usize,
    /// The destinations whose copies go on.
    released: &'static [&'static str],
    all_released: bool,
}

impl HeldCopies {
    /// Returns the hooks for the context of the copies.
    pub fn hooks(&self) -> impl CopyHooks + use<> {
        HoldHooks(self.0.clone())
    }

    /// Returns how many copies are held.
    pub fn count(&self) -> usize {
        self.0.state.lock().unwrap().held
    }

    /// Lets the copies to some destinations go on.
    pub fn release_only(&self, paths: &'static [&'static str]) {
        self.0.state.lock().unwrap().released = paths;
        self.0.changed.notify_all();
    }

    /// Lets all copies go on.
    pub fn release(&self) {
        self.0.state.lock().unwrap().all_released = true;
        self.0.changed.notify_all();
    }
}

impl Drop for HeldCopies {
    fn drop(&mut self) {
        self.release();
    }
}

struct HoldHooks(Arc<Hold>);

impl CopyHooks for HoldHooks {
    fn started(&self, request: &CopyRequest<'_>, _: &CopyControl) {
        let Self(hold) = self;
        let is_held = |state: &mut HoldState| {
            !state.all_released && !state.released.contains(&request.dst_path)
        };
        let mut state = hold.state.lock().unwrap();
        state.held += 1;
        let mut state = hold.changed.wait_while(state, is_held).unwrap();
        state.held -= 1;
    }
}

/// Slots that are taken, by copies of a store of its own.
pub struct HeldSlots {
    copies: HeldCopies,
    state: State,
    jobs: Vec<Resource<CopyJob>>,
}

impl HeldSlots {
    /// Takes so many slots. They must be free.
    #[track_caller]
    pub fn take(slots: &CopySlots, count: usize) -> Self {
        let copies = HeldCopies::default();
        let ctx = FastCopyCtx::builder()
            .slots(slots.clone())
            .max_copies(count)
            .hooks(copies.hooks());
        let mut state = State::new().with(ctx);
        fs::write(state.path("src"), "text").unwrap();
        let jobs = (0..count).map(|number| {
            let dst = number.to_string();
            let job = state.start_sparse_copy("src", &dst, Options::NOT_DURABLE);
            job.unwrap().unwrap()
        });
        let jobs = jobs.collect();
        wait_until(|| copies.count() == count);
        Self {
            copies,
            state,
            jobs,
        }
    }

    /// Frees the slots.
    #[track_caller]
    pub fn release(mut self) {
        self.copies.release();
        for job in self.jobs {
            self.state.finish(job).unwrap();
        }
    }
}
