//! The report: tables in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};
use fast_copy_test_support::files::MIB;

use crate::contenders::{self, Kind};
use crate::in_flight::Figure;
use crate::results::{Results, Row, dir};
use crate::units::{millis, with_unit};
use crate::whole_files::{CLONE_EXTENTS, COLD, DENSE, EXTENTS, IMAGE, TERABYTE, WARM};
use crate::{bars, charts, clones, in_flight, memory, scaling, small_files, summary};

/// Writes the report and draws the charts.
pub fn write(results: &Results) -> Result<()> {
    charts::draw(results).context("drawing the charts")?;
    let file = dir().join("README.md");
    fs::write(&file, markdown(results)?).context("writing the report")?;
    summary::write(results)?;
    println!("\nThe report is in {}", file.display());
    Ok(())
}

fn markdown(results: &Results) -> Result<String> {
    let mut text = String::from(
        "# Measurements\n\n\
         Made by `cargo bench --bench compare`; [samples.tsv](samples.tsv) has every sample. In each\n\
         group all contenders take turns, round by round; figures are medians, and only those of one\n\
         group can be compared. Times of programs are from before their start to their end; guests\n\
         are timed by their own clock. Every copy was compared with its source, byte by byte; of the\n\
         clones that take microseconds, one of each turn was, and the blocks of all were counted. Those in\n\
         italics are no copiers, but bare system calls that do the work or a part of it, by one thread\n\
         where nothing else is said.\n\n",
    );
    for line in &results.machine {
        writeln!(text, "- {line}")?;
    }
    runs(&mut text, results)?;
    bars(&mut text, results)?;
    text.push_str("\n## Charts\n\n");
    // A group that wasn't measured yet has no chart.
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
            "The same, after the file was read, as `cat` does, and on tmpfs through a mapping: all of \
             it looks like data.",
        ),
        (CLONE_EXTENTS, "1 GiB with 50,000 extents of 4 KiB, cloned."),
    ] {
        writeln!(text, "## {work}\n\n{what}\n")?;
        for on in places(results, work) {
            whole_files(&mut text, results, work, on)?;
        }
    }
    for (work, what, contenders) in [
        (
            clones::WORK,
            "A clone of 1 GiB in one extent, microseconds a call, without waiting for the disk. The \
             asynchronous linker wakes a thread for each call, which takes longer after a pause: so the \
             first calls of each turn are shown too.",
            &clones::CONTENDERS[..],
        ),
        (
            small_files::WORK,
            "10,000 files of 4 KiB, a call each, microseconds a file. `fast_copy` is durable (200 \
             files); the others don't wait for the disk.",
            &small_files::CONTENDERS[..],
        ),
    ] {
        writeln!(text, "## {work}\n\n{what}\n")?;
        for on in places(results, work) {
            calls(&mut text, results, (work, on), contenders)?;
        }
    }
    for (work, title, axis) in scaling::WORKS {
        writeln!(
            text,
            "## {work}\n\nTime against {title}, ext4, without waiting for the disk.\n"
        )?;
        points(&mut text, results, work, axis)?;
    }
    in_flight(&mut text, results)?;
    writeln!(
        text,
        "## memory\n\nThe peak of the process during the copy, above what it took just before.\n"
    )?;
    for row in results.rows.iter().filter(|row| row.work == memory::WORK) {
        writeln!(
            text,
            "- {}: {}: {:.2} MiB",
            row.on,
            row.contender,
            row.median() / 1048576.0
        )?;
    }
    Ok(text)
}

/// Writes the throughput and the latency of copies in flight.
fn in_flight(text: &mut String, results: &Results) -> Result<()> {
    let size = in_flight::SIZE / MIB;
    writeln!(
        text,
        "## {}\n\n\
         Copies of a dense file of {size} MiB by one guest, some at the same time, without waiting for the disk. The \
         host runs 8 at once. The throughput is that of all copies; the latency is from a call to its end: the \
         median, and what 99 % of the calls need at most. Medians of the rounds.\n",
        in_flight::WORK
    )?;
    for on in places(results, in_flight::WORK) {
        writeln!(
            text,
            "**{on}**\n\n\
             | contender | in flight | copies per second | MiB/s | latency | 99 % |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for contender in in_flight::CONTENDERS {
            for number in in_flight::IN_FLIGHT {
                let median = |figure| {
                    in_flight::row(results, on, contender, number, figure).map(Row::median)
                };
                let (Some(per_copy), Some(latency), Some(slow)) = (
                    median(Figure::PerCopy),
                    median(Figure::Latency),
                    median(Figure::SlowLatency),
                ) else {
                    continue;
                };
                writeln!(
                    text,
                    "| {contender} | {number} | {:.0} | {:.0} | {} | {} |",
                    1.0 / per_copy,
                    size as f64 / per_copy,
                    with_unit(latency),
                    with_unit(slow),
                )?;
            }
        }
        text.push('\n');
    }
    Ok(())
}

/// Writes the days, commits and machines of the samples: one line for each run.
fn runs(text: &mut String, results: &Results) -> Result<()> {
    let mut runs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &results.rows {
        let group = format!("{}/{}", row.work, row.on);
        let run = results
            .runs
            .get(&group)
            .map_or("day and commit not noted", String::as_str);
        let groups = runs.entry(run).or_default();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    if let [(run, _)] = Vec::from_iter(&runs)[..] {
        writeln!(text, "- measured in one run: {run}")?;
        return Ok(());
    }
    for (run, groups) in &runs {
        writeln!(text, "- {run}: {}", groups.join(", "))?;
    }
    Ok(())
}

fn bars(text: &mut String, results: &Results) -> Result<()> {
    text.push_str(
        "\n## The bars\n\n\
         The verdict is on the medians; beside it, the same of each round by itself.\n\n\
         | work | bar | measured | rounds, least to most | |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for bar in bars::all(results) {
        let (measured, spread, verdict) = match bar.measured {
            Some(it) => (
                it.words,
                it.spread,
                if it.met { "met" } else { "**not met**" },
            ),
            None => ("not measured".to_owned(), String::new(), ""),
        };
        writeln!(
            text,
            "| {} | {} | {measured} | {spread} | {verdict} |",
            bar.what, bar.bar
        )?;
    }
    Ok(())
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

/// Writes the times of calls in microseconds: all of a turn, and the first ones if they were measured.
fn calls(
    text: &mut String,
    results: &Results,
    (work, on): (&str, &str),
    contenders: &[&str],
) -> Result<()> {
    let first = work == clones::WORK;
    let head = format!(" first {} calls |", clones::FIRST);
    writeln!(
        text,
        "**{on}**\n\n| contender | median | rounds, least to most |{}\n| --- | ---: | ---: |{}",
        if first { &head } else { "" },
        if first { " ---: |" } else { "" },
    )?;
    for contender in contenders {
        let Some(row) = results.row(work, on, contender) else {
            continue;
        };
        let rounds = row.rounds();
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rounds.iter().copied().fold(0.0, f64::max);
        write!(
            text,
            "| {contender} | {:.1} | {:.1} to {:.1} |",
            row.median() * 1e6,
            least * 1e6,
            most * 1e6
        )?;
        if first {
            let median = results.median(work, on, &clones::first_calls(contender));
            let median = median.map(|seconds| format!("{:.1}", seconds * 1e6));
            write!(text, " {} |", median.unwrap_or_default())?;
        }
        text.push('\n');
    }
    text.push('\n');
    Ok(())
}

/// Writes the times of fast_copy and cp at each point.
fn points(text: &mut String, results: &Results, work: &str, axis: &str) -> Result<()> {
    writeln!(
        text,
        "| {axis} | fast_copy | least to most | cp | least to most | |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (point, ours, theirs) in scaling::points_of(results, work) {
        let cell = |row: &Row| {
            let (least, most) = (millis(row.least()), millis(row.most()));
            format!("{} ms | {least} to {most}", millis(row.median()))
        };
        let ratio = theirs.median() / ours.median();
        writeln!(
            text,
            "| {point} | {} | {} | {ratio:.2} x |",
            cell(ours),
            cell(theirs)
        )?;
    }
    text.push('\n');
    Ok(())
}

/// Writes the times of the copies of a file. Durable copies are compared with durable ones.
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
        let name = match contender.kind {
            Kind::Ours => format!("**{}**", contender.name),
            Kind::Floor => format!("*{}*", contender.name),
            _ => contender.name.to_owned(),
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

fn allocated(row: &Row) -> String {
    row.allocated
        .map(|bytes| (bytes >> 20).to_string())
        .unwrap_or_default()
}
