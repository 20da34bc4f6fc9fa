//! The table in README.md.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use crate::contenders::{FAST, FAST_DURABLE, GUEST_FAST, SPARSE};
use crate::machine;
use crate::peers::{Against, peer};
use crate::results::Results;
use crate::units::with_unit;
use crate::whole_files::{ACROSS, DENSE, EXTENTS, IMAGE, TERABYTE, WARM};

const BEGIN: &str = "<!-- from `cargo bench --bench compare` -->\n";
const END: &str = "<!-- to here -->\n";

/// Writes the table between its marks in README.md.
pub fn write(results: &Results) -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(file)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("no begin mark in README.md")?;
    let (_, after) = rest.split_once(END).context("no end mark in README.md")?;
    let summary = summary(results)?;
    fs::write(file, format!("{before}{BEGIN}{summary}{END}{after}"))?;
    Ok(())
}

/// Returns a line for each kind of work: the time of this crate, and of its best peer.
fn summary(results: &Results) -> Result<String> {
    let mut text =
        String::from("| work | here | the best peer | |\n| --- | ---: | ---: | ---: |\n");
    for (what, work, on, ours, against) in LINES {
        let peer = peer(results, (work, on), ours, against);
        let (Some(ours), Some(peer)) = (results.median(work, on, ours), peer) else {
            continue;
        };
        let time = peer.row.median();
        let note = if peer.keeps_holes {
            ""
        } else {
            ", which fills the holes"
        };
        writeln!(
            text,
            "| {what} | {} | {} ({}{note}) | {:.1} x |",
            with_unit(ours),
            with_unit(time),
            peer.name(),
            time / ours
        )?;
    }
    let machines = machines(results);
    writeln!(
        text,
        "\n{}; ext4, XFS and btrfs on loop devices.",
        machines.join("; ")
    )?;
    if machines.len() > 1 {
        writeln!(
            text,
            "Each line is from one of these machines: see the [report](benches/results/README.md)."
        )?;
    }
    Ok(text)
}

/// Returns the machines that the lines were measured on.
fn machines(results: &Results) -> Vec<&str> {
    let runs = LINES
        .iter()
        .filter_map(|(_, work, on, ..)| results.run(work, on));
    let mut machines: Vec<&str> = runs.filter_map(machine::of_run).collect();
    machines.sort_unstable();
    machines.dedup();
    machines
}

type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Against<'static>,
);

#[rustfmt::skip]
const LINES: [Line; 12] = {
    use Against::{Best, BestSparse};
    [
        ("image of 8 GiB, 712 MiB of data, ext4, durable", IMAGE, "ext4", FAST_DURABLE, Best),
        ("the same, without waiting for the disk", IMAGE, "ext4", FAST, Best),
        ("the same, XFS, sharing nothing", IMAGE, "xfs", SPARSE, Best),
        ("the same, ext4, by a guest itself", IMAGE, "ext4", GUEST_FAST, Best),
        ("clone of it, XFS", IMAGE, "xfs", FAST, Best),
        ("dense GiB, ext4, durable", DENSE, "ext4", FAST_DURABLE, Best),
        ("dense GiB, ext4, without waiting", DENSE, "ext4", FAST, Best),
        ("dense GiB, ext4 to XFS", DENSE, ACROSS, FAST, Best),
        ("50,000 extents of 4 KiB, ext4", EXTENTS, "ext4", FAST, Best),
        ("the same, against the best that keeps the holes", EXTENTS, "ext4", FAST, BestSparse),
        ("1 TiB with 64 MiB of data, ext4", TERABYTE, "ext4", FAST, Best),
        ("2 GiB preallocated, 64 MiB written, ext4", WARM, "ext4", FAST, Best),
    ]
};
