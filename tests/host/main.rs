//! The host's implementation of the interfaces, called without a guest, except in `wasi_0_3`.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges, some of which have one"
)]

mod calls;
mod ends;
mod gate;
mod hooks;
mod inspect;
mod jobs;
mod limits;
mod log;
mod mistakes;
mod named;
mod operands;
mod options;
mod resources;
mod slots;
mod wasi_0_3;
