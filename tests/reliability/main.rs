//! Tests of one invariant under every failure that can be provoked: either a call returns `Ok` and the copy is
//! complete and identical to its source, or it returns an error, the destination is unchanged, nothing is left
//! behind, and nothing is charged.
//!
//! `cargo test` runs the short form. `tests/reliability/long.sh` runs the long one, and keeps its figures in
//! `tests/reliability/results`. `docs/reliability.md` describes each kind of test and shows the figures:
//!
//! ```console
//! cargo test --test reliability -- --report     # puts the results into docs/reliability.md
//! ```

mod crowds;
#[cfg(target_arch = "x86_64")]
mod errors;
mod exhaustion;
mod fuzz;
mod layouts;
mod missing_calls;
mod model;
mod power_cut;
mod report;
mod writers;

use std::process::ExitCode;

use fast_copy_test_support::filesystems::NAMES;
use fast_copy_test_support::suite::{Suite, Test};

const MODULES: &[(&str, &[Test])] = &[
    ("power_cut", power_cut::TESTS),
    #[cfg(target_arch = "x86_64")]
    ("errors", errors::TESTS),
    ("model", model::TESTS),
    ("layouts", layouts::TESTS),
    ("writers", writers::TESTS),
    ("crowds", crowds::TESTS),
    ("fuzz", fuzz::TESTS),
    ("exhaustion", exhaustion::TESTS),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(report::FLAG) => return report::main(),
        #[cfg(target_arch = "x86_64")]
        Some(errors::FLAG) => return errors::main(&args[2..]),
        Some(missing_calls::FLAG) => return missing_calls::main(&args[2..]),
        Some(exhaustion::FLAG) => return exhaustion::main(),
        _ => {}
    }
    let suite = Suite {
        file_systems: &NAMES,
        size: 8 << 30,
        modules: MODULES,
        needs: Some(("strace", "-V")),
        one_at_a_time: false,
    };
    suite.main()
}
