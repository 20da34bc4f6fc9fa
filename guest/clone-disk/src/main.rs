//! Clones disk images from inside a WebAssembly sandbox, and shows the space that they use.
//!
//! `clone-disk --help` lists the commands and options.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clone_disk::args::{self, Command, How};
use clone_disk::failure::failure;
use clone_disk::progress::{Progress, TICK};
use clone_disk::table::Table;
use clone_disk::tree::{Tree, data_of, print_sum};
use clone_disk::usage::UsageTable;
use clone_disk::verify::{self, Image};
use fast_copy::{CopyProgress, CopyReport, Error, data_ranges, disk_usage, summarize_extents};
use futures::FutureExt as _;
use futures::stream;

/// What the help says about several copies.
const ORDER: &str = "\
Copies are made one after the other. After an error, no more are made, and those made before are kept.";

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(message) => {
            eprintln!("clone-disk: {message}");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("clone-disk: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print!("{}", args::help(ORDER)),
        Command::Version => println!("clone-disk {}", env!("CARGO_PKG_VERSION")),
        Command::Clone { how, base, names } => clone(&how, &base, &names)?,
        Command::Tree { how, dir, new } => tree(&how, &Tree::find(&dir, &new)?, &new)?,
        Command::Verify { a, b } => verify(&a, &b)?,
        Command::Usage { files } => usage(&files)?,
    }
    Ok(())
}

/// Copies a file. Calls `on_progress` while it waits.
fn copy(
    how: &How,
    src: &str,
    dst: &str,
    on_progress: impl FnMut(CopyProgress),
) -> Result<(CopyReport, Duration), Error> {
    let start = Instant::now();
    let job = if how.independent {
        how.options.start_sparse_copy(src, dst)?
    } else {
        how.options.start_fast_copy(src, dst)?
    };
    let report = job.wait_with(TICK, on_progress)?;
    Ok((report, start.elapsed()))
}

/// Copies the base to each name, with a progress bar for each.
fn clone(how: &How, base: &str, names: &[String]) -> Result<(), String> {
    let table = Table::start("CLONE", names);
    for (i, name) in names.iter().enumerate() {
        let mut progress = Progress::start(name);
        let copied = copy(how, base, name, |copy| {
            progress.show(copy.copied, copy.total.unwrap_or(0))
        });
        drop(progress);
        let (report, time) = copied.map_err(|error| failure(error, &names[i + 1..]))?;
        table.row(name, &report, time);
    }
    Ok(())
}

/// Copies each file in the order of their paths, with one progress bar for all.
fn tree(how: &How, tree: &Tree<'_>, new: &str) -> Result<(), String> {
    let size = |file: &String| disk_usage(tree.source(file)).map(data_of);
    let sizes: Vec<_> = tree
        .files()
        .iter()
        .map(size)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let total = sizes.iter().sum();
    tree.create_directories()?;
    let mut progress = Progress::start(new);
    let table = Table::start("FILE", tree.files());
    let (mut done, mut reports) = (0, Vec::new());
    for (i, (file, size)) in tree.files().iter().zip(sizes).enumerate() {
        let (src, dst) = (tree.source(file), tree.destination(file));
        let copied = copy(how, &src, &dst, |copy| {
            progress.show(done + copy.copied.min(size), total)
        });
        progress.hide();
        let (report, time) = copied.map_err(|error| failure(error, &tree.files()[i + 1..]))?;
        table.row(file, &report, time);
        done += size;
        reports.push(report);
    }
    print_sum(reports.iter());
    Ok(())
}

/// Compares two files.
fn verify(a: &str, b: &str) -> Result<(), String> {
    let compared = verify::compare(image(a)?, image(b)?).now_or_never();
    compared.expect("the ranges of both files are ready when they are asked for")
}

/// Opens a file to compare it.
fn image(path: &str) -> Result<Image<'_>, String> {
    Image::open(path, disk_usage(path), data_ranges(path).map(stream::iter))
}

/// Prints a line for each file. Stops at the first error, which lists the files that follow.
fn usage(files: &[String]) -> Result<(), String> {
    let table = UsageTable::start(files);
    for (i, file) in files.iter().enumerate() {
        let printed =
            disk_usage(file).and_then(|usage| table.row(file, usage, summarize_extents(file)));
        printed.map_err(|error| failure(error, &files[i + 1..]))?;
    }
    Ok(())
}
