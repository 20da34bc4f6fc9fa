//! Clones disk images from inside a WebAssembly sandbox, several at a time: `clone-disk` as a command of
//! WASI 0.3.
//!
//! `clone-disk --help` lists the commands and options.

#![cfg(target_os = "wasi")]

mod copies;

use clone_disk::args::{self, Command, How};
use clone_disk::failure::failure;
use clone_disk::tree::{Tree, data_of, print_sum};
use clone_disk::usage::UsageTable;
use clone_disk::verify::{self, Image};
use fast_copy::{DataRange, Error, p3};
use futures::stream::{self, Stream, StreamExt as _};

use copies::{Copies, IN_FLIGHT};

struct CloneDisk;

wasip3::cli::command::export!(CloneDisk);

impl wasip3::exports::cli::run::Guest for CloneDisk {
    async fn run() -> Result<(), ()> {
        let result = match args::parse() {
            Ok(command) => run(command).await,
            Err(message) => Err(message),
        };
        result.map_err(|message| eprintln!("clone-disk: {message}"))
    }
}

async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print!("{}", args::help(&order())),
        Command::Version => println!("clone-disk {} (WASI 0.3)", env!("CARGO_PKG_VERSION")),
        Command::Clone { how, base, names } => clone(&how, &base, &names).await?,
        Command::Tree { how, dir, new } => tree(&how, &Tree::find(&dir, &new)?, &new).await?,
        Command::Verify { a, b } => verify::compare(image(&a).await?, image(&b).await?).await?,
        Command::Usage { files } => usage(&files).await?,
    }
    Ok(())
}

/// Returns what the help says about several copies.
fn order() -> String {
    format!(
        "\
Up to {IN_FLIGHT} copies are in progress at the same time; the host decides how many of them run. TIME includes the
time that a copy waits. After an error, no more copies are started. Those in progress are completed, and all
complete copies are kept."
    )
}

/// Copies the base to each name, with one progress bar for all.
async fn clone(how: &How, base: &str, names: &[String]) -> Result<(), String> {
    let title = match names {
        [name] => name.clone(),
        names => format!("{} copies", names.len()),
    };
    // Only the progress needs it.
    let data = p3::disk_usage(base).await.map_or(0, data_of);
    let mut copies = Copies::new(how);
    for name in names {
        copies.add(base.to_owned(), name.clone(), data);
    }
    copies.make("CLONE", names, &title).await?;
    Ok(())
}

/// Copies each file, with one progress bar for all.
async fn tree(how: &How, tree: &Tree<'_>, new: &str) -> Result<(), String> {
    let mut copies = Copies::new(how);
    for file in tree.files() {
        let (src, dst) = (tree.source(file), tree.destination(file));
        let usage = p3::disk_usage(&src)
            .await
            .map_err(|error| error.to_string())?;
        copies.add(src, dst, data_of(usage));
    }
    tree.create_directories()?;
    let reports = copies.make("FILE", tree.files(), new).await?;
    print_sum(reports.iter());
    Ok(())
}

/// Opens a file to compare it.
async fn image(path: &str) -> Result<Image<'_>, String> {
    Image::open(path, p3::disk_usage(path).await, ranges(path).await)
}

/// Returns the ranges in which a file has data. Fails if the host can't find the first one.
async fn ranges(path: &str) -> Result<impl Stream<Item = Result<DataRange, Error>>, Error> {
    let mut ranges = p3::data_ranges(path)?;
    let first = ranges.next().await.transpose()?;
    let others = stream::unfold(ranges, async |mut ranges| {
        Some((ranges.next().await?, ranges))
    });
    Ok(stream::iter(first.map(Ok)).chain(others))
}

/// Prints a line for each file. Stops at the first error, which lists the files that follow.
async fn usage(files: &[String]) -> Result<(), String> {
    let table = UsageTable::start(files);
    for (i, file) in files.iter().enumerate() {
        let printed = match p3::disk_usage(file).await {
            Ok(usage) => table.row(file, usage, p3::summarize_extents(file).await),
            Err(error) => Err(error),
        };
        printed.map_err(|error| failure(error, &files[i + 1..]))?;
    }
    Ok(())
}
