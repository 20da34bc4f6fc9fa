//! Copies files of random layouts between all pairs of file systems, and compares each copy with a model of its
//! source.
//!
//! [`REPLAY`] repeats one layout:
//!
//! ```console
//! FAST_COPY_LAYOUT=SEED cargo test --test reliability -- ext4::layouts::to_xfs
//! ```

mod check;
mod layout;

use fast_copy_test_support::figures;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::scale::scaled;
use fast_copy_test_support::tests;

use check::Counts;

tests! {
    to_ext4 where Small and Root,
    to_xfs where Small and Root,
    to_btrfs where Small and Root,
    to_tmpfs where Small and Root,
}

/// The environment variable with the seed of a layout. Only that one is tested.
const REPLAY: &str = "FAST_COPY_LAYOUT";

fn to_ext4(fs: &FileSystem) {
    run(fs, "ext4");
}

fn to_xfs(fs: &FileSystem) {
    run(fs, "xfs");
}

fn to_btrfs(fs: &FileSystem) {
    run(fs, "btrfs");
}

fn to_tmpfs(fs: &FileSystem) {
    run(fs, "tmpfs");
}

fn run(from: &FileSystem, to: &'static str) {
    let to = from
        .beside(to)
        .unwrap_or_else(|| panic!("{to} is not mounted"));
    let seeds = match std::env::var(REPLAY) {
        Ok(seed) => vec![seed.parse().expect("a seed")],
        Err(_) => (0..scaled(4_000, 150) as u64).collect(),
    };
    let mut counts = Counts::default();
    let failure = seeds
        .into_iter()
        .find_map(|seed| check::check(seed, from, &to, &mut counts).err());
    figures::record(
        "layouts",
        &format!("{} to {}", from.name, to.name),
        &[
            ("layouts", counts.layouts),
            ("copies", counts.copies),
            ("clones", counts.clones),
            ("durable", counts.durable),
            ("enlarged", counts.enlarged),
            ("violations", u64::from(failure.is_some())),
        ],
    );
    if let Some(failure) = failure {
        panic!("{failure}");
    }
}
