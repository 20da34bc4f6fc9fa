//! The host's implementation of the interfaces, called without a guest.

mod calls;
mod gate;
mod hooks;
mod inspect;
mod jobs;
mod limits;
mod log;
mod operands;
mod resources;
mod slots;
