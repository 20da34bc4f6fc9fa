//! The time of one call for a small file: 10,000 files of 4 KiB.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::allocated;
use fast_copy_test_support::filesystems::{FileSystem, has_disk};
use wasmtime_fast_copy::{CopyOptions, FastCopyCtx};

use crate::contenders::{
    FAST, FAST_DURABLE, GUEST_SPLICE, GUEST_STD, GUEST_STREAM, SPARSE, STD, fast_copy_no_sync,
    offload, staged,
};
use crate::disks::Disks;
use crate::group::Group;
use crate::guests;
use crate::results::Results;
use crate::turns::{ROUNDS, shuffle, timed};
use crate::{checks, clones, inputs};

pub const WORK: &str = "small-files";

const BARE_COPY: &str = "bare calls: open, O_TMPFILE, copy_file_range, link";
const BARE_CREATE: &str = "bare calls: open, creat, copy_file_range";

/// In the order of the table.
pub const CONTENDERS: [&str; 12] = [
    FAST_DURABLE,
    FAST,
    SPARSE,
    clones::GUEST_SYNC,
    clones::GUEST_ASYNC,
    clones::GUEST_P3,
    STD,
    GUEST_STD,
    GUEST_SPLICE,
    GUEST_STREAM,
    BARE_COPY,
    BARE_CREATE,
];

const FILES: usize = 10_000;
/// The number of durable copies, each of which waits for the disk.
const DURABLE_FILES: usize = 200;

pub fn groups() -> Vec<Group> {
    ["ext4", "xfs", "btrfs", "tmpfs"]
        .map(|on| Group {
            work: WORK,
            on,
            run,
        })
        .into()
}

/// The samples are means over all files of a round.
fn run(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let from = fs.dir();
    inputs::small_files(from.path(), FILES)?;
    let mut contenders = CONTENDERS.to_vec();
    contenders.retain(|name| *name != FAST_DURABLE || has_disk(group.on));
    for round in 0..=ROUNDS {
        shuffle(round, &mut contenders, |name| (*name).to_owned());
        for contender in &contenders {
            let into = fs.dir();
            let times = turn(contender, &fs.root, from.path(), into.path())?;
            let ours = contender.contains("fast") || contender.starts_with("sparse_copy");
            check(from.path(), into.path(), times.len(), ours).context(*contender)?;
            if round > 0 {
                let mean = times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
                results.add(group.work, group.on, contender, mean);
            }
            drop(into);
            inputs::settle(&fs.root)?;
        }
    }
    results.print(group.work, group.on, 1e6, "µs");
    Ok(())
}

/// Makes the calls of one contender, one after another.
fn turn(contender: &str, root: &Path, from: &Path, into: &Path) -> Result<Vec<Duration>> {
    // The names are made before the measured time.
    let paths: Vec<_> = (0..FILES)
        .map(|i| (from.join(format!("src-{i}")), into.join(i.to_string())))
        .collect();
    let each = |calls, copy: fn(&Path, &Path) -> Result<()>| {
        timed(calls, |i| copy(&paths[i].0, &paths[i].1))
    };
    let guest = |form| {
        let (from, to) = ((from, "src-{i}"), (into, "{i}"));
        Ok(guests::fast_copy(form, FastCopyCtx::new(), from, to, false, FILES)?.times)
    };
    // The guest has one directory for sources and destinations.
    let without_us = |method| {
        let below =
            |dir: &Path| -> Result<String> { Ok(dir.strip_prefix(root)?.display().to_string()) };
        let src = below(from)? + "/src-{i}";
        let dst = below(into)? + "/{i}";
        guests::own_copy(method, root, &src, &dst, FILES)
    };
    match contender {
        FAST => each(FILES, fast_copy_no_sync),
        SPARSE => each(FILES, |src, dst| {
            CopyOptions::new().durable(false).sparse_copy(src, dst)?;
            Ok(())
        }),
        FAST_DURABLE => each(DURABLE_FILES, |src, dst| {
            CopyOptions::new().fast_copy(src, dst)?;
            Ok(())
        }),
        clones::GUEST_SYNC => guest(Form::Sync),
        clones::GUEST_ASYNC => guest(Form::Async),
        clones::GUEST_P3 => guest(Form::P3),
        STD => each(FILES, |src, dst| {
            fs::copy(src, dst)?;
            Ok(())
        }),
        GUEST_STD => without_us("std"),
        GUEST_SPLICE => without_us("splice"),
        GUEST_STREAM => without_us("stream"),
        BARE_COPY => each(FILES, |src, dst| {
            staged(src, dst, |src, copy| offload(src, copy, 0..4096))
        }),
        _ => each(FILES, |src, dst| {
            offload(&File::open(src)?, &File::create_new(dst)?, 0..4096)
        }),
    }
}

fn check(from: &Path, into: &Path, copies: usize, ours: bool) -> Result<()> {
    for i in 0..copies {
        let (src, copy) = (from.join(format!("src-{i}")), into.join(i.to_string()));
        ensure!(
            fs::read(&src)? == fs::read(&copy)?,
            "the copy of file {i} differs"
        );
        if ours {
            checks::takes_at_most(&copy, allocated(&src))?;
        }
    }
    Ok(())
}
