//! Calls whose work is that of a model.

use crate::admission::Place;
use crate::dispatch::{self, Admission, Outcome, Running, Ticket};
use crate::error::CallError;
use crate::sync::Arc;

/// The work of a call.
pub(crate) type Work<T> = Box<dyn FnOnce(Admission) -> Outcome<T> + Send>;

pub(crate) struct Call<T> {
    pub(crate) ticket: Ticket,
    pub(crate) work: Work<T>,
}

impl<T: Send + 'static> Call<T> {
    pub(crate) fn prepare(
        self,
        place: Option<Arc<Place>>,
    ) -> (Running<T>, Box<dyn FnOnce() + Send>) {
        let (running, begin) = dispatch::prepare(self.ticket, place, self.work);
        (running, Box::new(begin))
    }

    pub(crate) fn refuse(self, error: CallError) -> CallError {
        error
    }
}
