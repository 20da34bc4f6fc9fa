//! Runs the fuzz targets without libFuzzer: with the inputs in `fuzz/corpus`, and with changed ones.

#[path = "../../fuzz/src/acl.rs"]
mod acl;
#[path = "../../fuzz/src/calls/mod.rs"]
mod calls;
#[path = "../../fuzz/src/fiemap.rs"]
mod fiemap;
#[path = "../../fuzz/src/paths.rs"]
mod paths;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fast_copy_test_support::figures;
use fast_copy_test_support::filesystems::FileSystem;

fast_copy_test_support::tests![
    any_access_control_list where Memory,
    any_answer_of_fiemap where Memory,
    any_path where Memory,
    any_calls_of_a_guest where SymbolicLinks and HardLinks and SpecialFiles and Permissions and UnnamedFiles,
];

fn any_access_control_list(_: &FileSystem) {
    run("acl", "acl", 200, acl::run);
}

fn any_answer_of_fiemap(_: &FileSystem) {
    run("fiemap", "fiemap", 50, fiemap::run);
}

fn any_path(_: &FileSystem) {
    run("paths", "paths", 100, paths::run);
}

fn any_calls_of_a_guest(fs: &FileSystem) {
    let dir = fs.dir();
    let row = format!("calls, {}", fs.name);
    run("calls", &row, 3, |data| calls::run(dir.path(), data));
}

/// Runs a target with each input of its corpus, and with so many changed ones for each.
fn run(target: &str, row: &str, changed: u64, run: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no inputs in {}", corpus.display());
    let (mut runs, mut violations) = (0, 0);
    for (number, path) in inputs.iter().enumerate() {
        let input = fs::read(path).unwrap();
        for change in 0..=changed {
            let mut data = input.clone();
            if change > 0 {
                change_some(&mut data, number as u64 * (changed + 1) + change);
            }
            runs += 1;
            if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
                violations += 1;
                let failed = root.join(format!("target/fuzz-{target}-{violations}"));
                fs::write(&failed, &data).unwrap();
                eprintln!(
                    "to repeat it: cargo +nightly fuzz run {target} {}",
                    failed.display()
                );
            }
        }
    }
    figures::record(
        "fuzz",
        row,
        &[
            ("runs", runs),
            ("corpus", inputs.len() as u64),
            ("violations", violations),
        ],
    );
    assert_eq!(violations, 0, "see the inputs in target/fuzz-{target}-*");
}

/// Changes some bytes of an input. The seed decides which.
fn change_some(data: &mut [u8], seed: u64) {
    let mut state = seed;
    // SplitMix64.
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    if data.is_empty() {
        return;
    }
    for _ in 0..1 + next() % 4 {
        let at = next() as usize % data.len();
        data[at] = next() as u8;
    }
}
