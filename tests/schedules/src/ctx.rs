//! What a store has: its queue and its places for jobs.

use crate::admission::{Places, Queue};

pub(crate) struct FastCopyCtx {
    pub(crate) queue: Queue,
    pub(crate) jobs: Places,
}
