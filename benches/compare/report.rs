//! The tables, as Markdown.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use crate::contenders::{self, Trait};
use crate::results::{Results, Row, dir};
use crate::whole_files::*;
use crate::{bars, calls, charts, memory};

/// Writes the report and draws the charts.
pub fn write(results: &Results) -> Result<()> {
    charts::draw(results).context("drawing the charts")?;
    let file = dir().join("README.md");
    fs::write(&file, markdown(results)?).context("writing the report")?;
    show_in_readme(&summary(results)?)?;
    println!("\nThe report is in {}", file.display());
    Ok(())
}

const BEGIN: &str = "<!-- from `cargo bench --bench compare` -->\n";
const END: &str = "<!-- to here -->\n";

/// Puts the summary where the project's README shows it.
fn show_in_readme(summary: &str) -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(file)?;
    let (before, rest) = text.split_once(BEGIN).context("no place in README.md")?;
    let (_, after) = rest
        .split_once(END)
        .context("no end of the place in README.md")?;
    fs::write(file, format!("{before}{BEGIN}{summary}{END}{after}"))?;
    Ok(())
}

/// A line for each kind of work: ours, and the best of those who do the same.
fn summary(results: &Results) -> Result<String> {
    let mut text =
        String::from("| work | here | the best peer | |\n| --- | ---: | ---: | ---: |\n");
    for (what, work, on, ours, peers) in SUMMARY {
        let best = bars::best(results, work, on, peers);
        let (Some(ours), Some((peer, time))) = (results.median(work, on, ours), best) else {
            continue;
        };
        writeln!(
            text,
            "| {what} | {} | {} ({peer}) | {:.1} x |",
            in_words(ours),
            in_words(time),
            time / ours
        )?;
    }
    writeln!(text, "\n{}.", results.machine[..2].join("; "))?;
    Ok(text)
}

type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const SUMMARY: &[Line] = {
    use contenders::*;
    &[
        (
            "image of 8 GiB, 712 MiB of data, ext4, durable",
            IMAGE,
            "ext4",
            FAST_DURABLE,
            &[CP_SYNC],
        ),
        (
            "the same, without waiting for the disk",
            IMAGE,
            "ext4",
            FAST,
            &bars::SPARSE_PEERS,
        ),
        (
            "the same, XFS, sharing nothing",
            IMAGE,
            "xfs",
            SPARSE,
            &[CP_NEVER, QEMU_IMG, RSYNC],
        ),
        (
            "the same, ext4, by a guest itself",
            IMAGE,
            "ext4",
            GUEST_FAST,
            &[GUEST_STD, GUEST_SPLICE],
        ),
        ("clone of it, XFS", IMAGE, "xfs", FAST, &[CP, XCP]),
        (
            "dense GiB, ext4, durable",
            DENSE,
            "ext4",
            FAST_DURABLE,
            &[CP_SYNC],
        ),
        (
            "dense GiB, ext4, without waiting",
            DENSE,
            "ext4",
            FAST,
            &bars::DENSE_PEERS,
        ),
        (
            "dense GiB, ext4 to XFS",
            DENSE,
            ACROSS,
            FAST,
            &bars::DENSE_PEERS,
        ),
        (
            "50,000 extents of 4 KiB, ext4",
            EXTENTS,
            "ext4",
            FAST,
            &bars::SPARSE_PEERS,
        ),
        (
            "1 TiB with 64 MiB of data, ext4",
            TERABYTE,
            "ext4",
            FAST,
            &bars::SPARSE_PEERS,
        ),
        (
            "2 GiB preallocated, 64 MiB written, ext4",
            WARM,
            "ext4",
            FAST,
            &bars::SPARSE_PEERS,
        ),
    ]
};

fn in_words(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        1.0.. => format!("{seconds:.1} s"),
        _ => format!("{} ms", millis(seconds)),
    }
}

fn markdown(results: &Results) -> Result<String> {
    let mut text = String::from(
        "# Measurements\n\n\
         Made by `cargo bench --bench compare`; [samples.tsv](samples.tsv) has every sample. In each\n\
         group all contenders take turns, round by round; figures are medians, and only those of one\n\
         group can be compared. Times of programs are from before their start to their end; guests\n\
         are timed by their own clock. Every copy was compared with its source, byte by byte. Those\n\
         in italics are no copiers, but what the kernel takes at least for a part of the work.\n\n",
    );
    for line in &results.machine {
        writeln!(text, "- {line}")?;
    }
    text.push_str("\n## The bars\n\n| work | bar | measured | |\n| --- | --- | --- | --- |\n");
    for bar in bars::all(results) {
        let measured = bar.measured.unwrap_or_else(|| "not measured".to_owned());
        let met = if bar.met { "met" } else { "**not met**" };
        writeln!(text, "| {} | {} | {measured} | {met} |", bar.what, bar.bar)?;
    }
    text.push_str("\n## Charts\n\n");
    // What wasn't measured yet has no chart.
    for (file, title) in charts::FILES {
        if !dir().join(file).exists() {
            continue;
        }
        writeln!(text, "![{title}]({file})\n")?;
    }

    for (work, what) in [
        (DENSE, "A dense file of 1 GiB."),
        (
            IMAGE,
            "A file system image of 8 GiB as `mkfs.ext4` makes it, with about 700 MiB of files.",
        ),
        (
            EXTENTS,
            "50,000 extents of 4 KiB, with holes of 4 KiB between them.",
        ),
        (
            TERABYTE,
            "1 TiB of apparent size, with 64 extents of 1 MiB.",
        ),
        (
            COLD,
            "2 GiB preallocated, 64 x 1 MiB of them written; nothing in the page cache.",
        ),
        (
            WARM,
            "The same, after `cat` has read the file: all of it looks like data.",
        ),
        (CLONE_EXTENTS, "1 GiB with 50,000 extents of 4 KiB, cloned."),
    ] {
        writeln!(text, "## {work}\n\n{what}\n")?;
        for on in places(results, work) {
            whole_files(&mut text, results, work, on)?;
        }
    }
    for (work, what) in [
        (
            calls::CLONE,
            "A clone of 1 GiB in one extent, microseconds a call. Nobody waits for the disk.",
        ),
        (
            calls::SMALL,
            "10,000 files of 4 KiB, a call each, microseconds a file. `fast_copy` is durable (200 \
             files); nobody else waits for the disk.",
        ),
    ] {
        writeln!(text, "## {work}\n\n{what}\n")?;
        for on in places(results, work) {
            writeln!(
                text,
                "**{on}**\n\n| contender | median | least to most |\n| --- | ---: | ---: |"
            )?;
            for row in results.group(work, on) {
                writeln!(
                    text,
                    "| {} | {:.1} | {:.1} to {:.1} |",
                    row.contender,
                    row.median() * 1e6,
                    row.least() * 1e6,
                    row.most() * 1e6
                )?;
            }
            text.push('\n');
        }
    }
    writeln!(
        text,
        "## memory\n\nThe peak of the process above what it had before the copy.\n"
    )?;
    for row in results.group(memory::WORK, "ext4") {
        writeln!(
            text,
            "- {}: {:.2} MiB",
            row.contender,
            row.median() / 1048576.0
        )?;
    }
    Ok(text)
}

fn places<'a>(results: &'a Results, work: &str) -> Vec<&'a str> {
    let mut places: Vec<&str> = Vec::new();
    for row in results.rows.iter().filter(|row| row.work == work) {
        if !places.contains(&row.on.as_str()) {
            places.push(&row.on);
        }
    }
    places
}

/// Durable copies are compared with durable ones, the others with each other.
fn whole_files(text: &mut String, results: &Results, work: &str, on: &str) -> Result<()> {
    writeln!(
        text,
        "**{on}**\n\n\
         | contender | waits for the disk | median | least to most | against fast_copy | allocated |\n\
         | --- | --- | ---: | ---: | ---: | ---: |"
    )?;
    for contender in contenders::ALL {
        let Some(row) = results.row(work, on, contender.name) else {
            continue;
        };
        let ours = match contender.durable {
            true => contenders::FAST_DURABLE,
            false => contenders::FAST,
        };
        let ratio = results
            .median(work, on, ours)
            .map(|ours| row.median() / ours);
        let name = match contender.trait_of {
            Trait::Ours => format!("**{}**", contender.name),
            Trait::Floor => format!("*{}*", contender.name),
            Trait::Sparse | Trait::Dense => contender.name.to_owned(),
        };
        writeln!(
            text,
            "| {name} | {} | {} ms | {} to {} | {} | {} MiB |",
            if contender.durable { "yes" } else { "no" },
            millis(row.median()),
            millis(row.least()),
            match row.samples.len() {
                1 => "itself: one run".to_owned(),
                _ => millis(row.most()),
            },
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            allocated(row),
        )?;
    }
    text.push('\n');
    Ok(())
}

fn millis(seconds: f64) -> String {
    let millis = seconds * 1e3;
    match millis {
        ..10.0 => format!("{millis:.2}"),
        ..100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

fn allocated(row: &Row) -> String {
    row.allocated
        .map(|bytes| (bytes >> 20).to_string())
        .unwrap_or_default()
}
