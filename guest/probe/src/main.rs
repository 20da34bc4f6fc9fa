//! Makes raw calls of `sandbox:fast-copy`, also with operands that the SDK never passes.
//!
//! - `probe fast-copy SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS [REPEAT]`
//! - `probe sparse-copy SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS [REPEAT]`
//! - `probe stat SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS [REPEAT]` calls `stat-at` of `wasi:filesystem` on
//!   the source, to compare the time of a call.
//! - `probe data-ranges DIR PATH START [REPEAT]`
//! - `probe can-reflink SRC_DIR DST_DIR [REPEAT]`
//! - `probe many FUNCTION SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS COPIES IN_FLIGHT` makes COPIES copies, at
//!   most IN_FLIGHT at once.
//! - `probe sdk FUNCTION SRC DST OPTIONS` makes a call of the SDK, with paths of the guest. Prints `ok METHOD`,
//!   or `err CODE OPERAND KIND TEXT`, where KIND is an `io::ErrorKind`.
//!
//! The arguments are
//! - SRC_DIR, DST_DIR, DIR: the name of a preopened directory, or `file:PATH` or `dir:PATH`. These two open a
//!   file or a directory in the first preopened directory, for reading only.
//! - SRC_PATH, DST_PATH, PATH: a path, in which `\0` stands for NUL, and `{i}` for the number of the call,
//!   from 0.
//! - OPTIONS: `replace`, `symlink-follow`, `require-reflink`, `dig-holes`, `no-sync`, `size=BYTES` and
//!   `preserve-times`, separated by commas. `defaults` sets nothing. If it is empty, calls get no resource of
//!   options. Otherwise each call gets a new one, and its time includes creating and dropping it.
//! - START: an offset in bytes.
//! - REPEAT: the number of calls; default: 1.
//! - FUNCTION: `fast-copy` or `sparse-copy`; for `sdk` also `start-fast-copy`, which starts a job and waits for
//!   it.
//!
//! Prints one line for the first call:
//! - of a copy `ok METHOD SIZE COPIED ALLOCATED DURABLE`, and the names of its notes, if any, separated by
//!   commas;
//! - of `stat` `ok`;
//! - of `data-ranges` `ok`, and `OFFSET+LENGTH` for each range;
//! - of `can-reflink` `ok SUPPORT`.
//!
//! Stops at the first call that fails, and prints `err CODE OPERAND` for a copy, otherwise `err CODE`. If
//! REPEAT is given and no call has failed, prints the nanoseconds of each call on a second line.
//!
//! `many` prints three lines: the number of copies for each result, such as `40 ok, 24 err CODE OPERAND`; the
//! nanoseconds of each copy, in the order in which they ended; and the nanoseconds of all copies together.

mod call;
mod command;
mod copy;
mod counts;
mod many;
mod operands;
mod options;
mod outcome;
mod sdk;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    front::block_on(command::run(&args));
}
