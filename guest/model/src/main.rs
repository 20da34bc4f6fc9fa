//! Does operations that the host sends, for the tests that compare the host with a model.
//!
//! Writes a line to the standard output, and reads one from the standard input, in turns. The first line is
//! `ready`. Each line that it reads is an [operation](operation::Operation), on files of the first preopened
//! directory. Its answer begins with `ok` or `err`. The line `end` ends it.

mod answers;
mod copies;
mod files;
mod inspect;
mod operation;
mod pattern;
mod session;
mod ways;

fn main() {
    front::block_on(session::run());
}
