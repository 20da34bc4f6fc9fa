//! The host's side of the interfaces, without a guest.

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
