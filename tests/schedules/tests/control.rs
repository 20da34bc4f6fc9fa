//! Runs `src/bin/control`, which tests `CopyControl` in all executions that Rust's memory model allows.

use std::process::Command;

#[test]
fn a_copy_control_holds_in_every_execution() {
    let status = Command::new(env!("CARGO_BIN_EXE_control")).status();
    assert!(status.unwrap().success(), "see the output above");
}
