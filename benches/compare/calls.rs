//! What one call costs: clones of one extent, and small files.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use wasmtime_fast_copy::{CopyMethod, CopyOptions, FastCopyCtx};
use wasmtime_wasi::runtime::spawn_blocking;

use crate::contenders::{
    FAST, FAST_DURABLE, FICLONE, GUEST_STD, SPARSE, STD, fast_copy_no_sync, offload, staged,
    staged_ficlone,
};
use crate::disks::Disks;
use crate::files::GIB;
use crate::filesystems::{FileSystem, has_disk};
use crate::guests::{self, Form};
use crate::results::Results;
use crate::{Group, ROUNDS, inputs};

pub const CLONE: &str = "clone-1-extent";
pub const SMALL: &str = "small-files";

pub const GUEST_SYNC: &str = "guest, sync linker: fast-copy, no-sync";
pub const GUEST_ASYNC: &str = "guest, async linker: fast-copy, no-sync";
pub const GUEST_BLOCKING: &str = "guest, async linker, blocking allowed: fast-copy, no-sync";
pub const GUEST_STAT: &str = "guest, async linker: stat-at of wasi:filesystem";
pub const HOP: &str = "tokio: spawn_blocking of nothing";
pub const NATIVE_HOP: &str = "tokio: spawn_blocking of fast_copy, no-sync";
pub const CP: &str = "cp --reflink=always, a process each";
pub const BARE_COPY: &str = "bare calls: open, O_TMPFILE, copy_file_range, link";
pub const BARE_CREATE: &str = "bare calls: open, creat, copy_file_range";

const SMALL_FILES: usize = 10_000;
/// Each of them waits for the disk.
const DURABLE_FILES: usize = 200;

pub fn groups() -> Vec<Group> {
    let clones = ["xfs", "btrfs"].map(|on| Group {
        work: CLONE,
        on,
        run: clones,
    });
    let small = ["ext4", "xfs", "btrfs", "tmpfs"].map(|on| Group {
        work: SMALL,
        on,
        run: small_files,
    });
    clones.into_iter().chain(small).collect()
}

/// Who takes part in cloning.
const CONTENDERS: [&str; 9] = [
    FICLONE,
    FAST,
    GUEST_SYNC,
    GUEST_ASYNC,
    GUEST_BLOCKING,
    GUEST_STAT,
    HOP,
    NATIVE_HOP,
    CP,
];

/// Calls in a turn.
const TURN: usize = 25;

fn clones(group: &Group, _disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let src = dir.path().join("src");
    inputs::sparse(&src, GIB, std::iter::once(0..GIB))?;
    let report = CopyOptions::new().fast_copy(&src, dir.path().join("first"))?;
    ensure!(report.method == CopyMethod::Reflink);
    let runtime = tokio::runtime::Runtime::new()?;

    for round in 0..=ROUNDS * 4 {
        let into = tempfile::tempdir_in(dir.path())?;
        let into = into.path();
        let name = |call: usize| into.join(call.to_string());
        let mut turn = |contender: &str, times: Vec<Duration>| -> Result<()> {
            for time in times.iter().filter(|_| round > 0) {
                results.add(group.work, group.on, contender, time.as_secs_f64());
            }
            for entry in fs::read_dir(into)? {
                fs::remove_file(entry?.path())?;
            }
            inputs::settle(into)
        };
        let from = (dir.path(), "src");
        let guest =
            |form, copies| guests::fast_copy(form, copies, from, (into, "{i}"), false, TURN);
        for i in 0..CONTENDERS.len() {
            // Nobody is always the first in a new directory.
            let contender = CONTENDERS[(i + round) % CONTENDERS.len()];
            let times = match contender {
                FICLONE => timed(TURN, |i| staged_ficlone(&src, &name(i)))?,
                FAST => timed(TURN, |i| fast_copy_no_sync(&src, &name(i)))?,
                GUEST_SYNC => guest(Form::Sync, FastCopyCtx::new())?,
                GUEST_ASYNC => guest(Form::Async, FastCopyCtx::new())?,
                GUEST_BLOCKING => {
                    let copies = FastCopyCtx::builder().allow_blocking_current_thread(true);
                    guest(Form::Async, copies.build())?
                }
                GUEST_STAT => guests::stat(Form::Async, from, TURN)?,
                HOP => timed(TURN, |_| {
                    runtime.block_on(spawn_blocking(|| ()));
                    Ok(())
                })?,
                NATIVE_HOP => timed(TURN, |i| {
                    let (src, dst) = (src.clone(), name(i));
                    runtime.block_on(spawn_blocking(move || fast_copy_no_sync(&src, &dst)))
                })?,
                _ => timed(TURN / 5, |i| {
                    let mut cp = Command::new("cp");
                    let status = cp.arg("--reflink=always").arg(&src).arg(name(i)).status()?;
                    ensure!(status.success());
                    Ok(())
                })?,
            };
            turn(contender, times)?;
        }
    }
    results.print(group.work, group.on, 1e6, "µs");
    Ok(())
}

fn timed(calls: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<Vec<Duration>> {
    (0..calls)
        .map(|i| {
            let start = Instant::now();
            call(i)?;
            Ok(start.elapsed())
        })
        .collect()
}

/// The samples are means over all files of a round.
fn small_files(
    group: &Group,
    _disks: &Disks,
    fs: &FileSystem,
    results: &mut Results,
) -> Result<()> {
    let dir = fs.dir();
    inputs::small_files(dir.path(), SMALL_FILES)?;
    let src = |i: usize| dir.path().join(format!("src-{i}"));
    for round in 0..=ROUNDS {
        let into = tempfile::tempdir_in(&fs.root)?;
        let into = into.path();
        let mut turn = |contender: &str, times: Vec<Duration>| -> Result<()> {
            for i in 0..times.len() {
                let copy = into.join(i.to_string());
                ensure!(fs::read(src(i))? == fs::read(&copy)?, "{contender}");
                fs::remove_file(&copy)?;
            }
            if round > 0 {
                let mean = times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
                results.add(group.work, group.on, contender, mean);
            }
            inputs::settle(into)
        };
        type One = fn(&Path, &Path) -> Result<()>;
        let mut contenders: Vec<(&str, usize, One)> = vec![
            (FAST, SMALL_FILES, fast_copy_no_sync),
            (SPARSE, SMALL_FILES, |src, dst| {
                CopyOptions::new().no_sync(true).sparse_copy(src, dst)?;
                Ok(())
            }),
            (STD, SMALL_FILES, |src, dst| {
                fs::copy(src, dst)?;
                Ok(())
            }),
            (BARE_COPY, SMALL_FILES, |src, dst| {
                staged(src, dst, |src, copy| offload(src, copy, 0..4096))
            }),
            (BARE_CREATE, SMALL_FILES, |src, dst| {
                offload(&File::open(src)?, &File::create_new(dst)?, 0..4096)
            }),
        ];
        if has_disk(group.on) {
            contenders.push((FAST_DURABLE, DURABLE_FILES, |src, dst| {
                CopyOptions::new().fast_copy(src, dst)?;
                Ok(())
            }));
        }
        if round % 2 == 1 {
            contenders.reverse();
        }
        for (name, count, one) in contenders {
            // The names are made outside the measured time.
            let paths: Vec<_> = (0..count)
                .map(|i| (src(i), into.join(i.to_string())))
                .collect();
            turn(name, timed(count, |i| one(&paths[i].0, &paths[i].1))?)?;
        }
        for (name, form) in [(GUEST_SYNC, Form::Sync), (GUEST_ASYNC, Form::Async)] {
            let (from, to) = ((dir.path(), "src-{i}"), (into, "{i}"));
            let copies = FastCopyCtx::new();
            turn(
                name,
                guests::fast_copy(form, copies, from, to, false, SMALL_FILES)?,
            )?;
        }
        let (from, to) = ("src-{i}", "{i}");
        let own = guests::own_copy("std", dir.path(), from, to, SMALL_FILES)?;
        for i in 0..own.len() {
            fs::rename(dir.path().join(i.to_string()), into.join(i.to_string()))?;
        }
        turn(GUEST_STD, own)?;
    }
    results.print(group.work, group.on, 1e6, "µs");
    Ok(())
}
