//! The contenders that copy one file.

use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fast_copy_test_support::command::Form;
use fast_copy_test_support::files::MIB;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use wasmtime_fast_copy::{CopyOptions, FastCopyCtx};

use crate::guests;

/// A file to copy.
pub struct Job<'a> {
    pub src: &'a Path,
    pub dst: &'a Path,
    /// The ranges of its data, for contenders that don't search for it.
    pub data: &'a [Range<u64>],
    /// A file of twice the size of the data, with the same extents close together.
    pub packed: &'a Path,
}

pub struct Contender {
    pub name: &'static str,
    /// Whether the measured time includes synchronisation.
    pub durable: bool,
    pub kind: Kind,
    run: fn(&Job<'_>) -> Result<Duration>,
}

/// How a contender copies, which decides what it may be compared with. Whether it keeps holes follows
/// from the allocated bytes of its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This crate: its copies must not have more allocated than the source's data.
    Ours,
    /// Shares blocks where the file system can.
    Sharing,
    /// Always moves the bytes.
    Moving,
    /// A guest without this crate.
    Guest,
    /// Bare system calls.
    Floor,
}

impl Contender {
    pub fn run(&self, job: &Job<'_>) -> Result<Duration> {
        (self.run)(job).with_context(|| self.name.to_owned())
    }

    /// Whether the program that it needs is installed.
    pub fn is_installed(&self) -> bool {
        let program = match self.name {
            QEMU_IMG => "qemu-img",
            RSYNC => "rsync",
            XCP => "xcp",
            _ => return true,
        };
        Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok()
    }
}

pub const FAST: &str = "fast_copy, no-sync";
pub const FAST_DURABLE: &str = "fast_copy";
pub const SPARSE: &str = "sparse_copy, no-sync";
pub const SPARSE_DURABLE: &str = "sparse_copy";
pub const GUEST_FAST: &str = "guest: fast-copy, no-sync";
pub const GUEST_FAST_DURABLE: &str = "guest: fast-copy";
pub const PACKED: &str = "fast_copy, no-sync, of the extents alone";
pub const PACKED_DURABLE: &str = "fast_copy of the extents alone";
pub const CP: &str = "cp --reflink=auto --sparse=auto";
pub const CP_NEVER: &str = "cp --reflink=never";
pub const CP_SYNC: &str = "cp --reflink=auto; sync FILE";
pub const CP_NEVER_SYNC: &str = "cp --reflink=never; sync FILE";
pub const QEMU_IMG: &str = "qemu-img convert -O raw";
pub const RSYNC: &str = "rsync -S";
pub const XCP: &str = "xcp";
pub const STD: &str = "std::fs::copy";
pub const GUEST_STD: &str = "guest: std::fs::copy";
pub const GUEST_SPLICE: &str = "guest: splice loop";
pub const GUEST_STREAM: &str = "guest: stream copy of WASI 0.3";
pub const FICLONE: &str = "bare calls: open, O_TMPFILE, FICLONE, link";
pub const ONE_PASS: &str = "one pass of copy_file_range";
pub const ONE_PASS_SYNC: &str = "one pass of copy_file_range, fsync";
pub const READ_WRITE: &str = "one pass of pread and pwrite";
pub const READ_WRITE_SYNC: &str = "one pass of pread and pwrite, fsync";
pub const READ_WRITE_BY_TWO: &str = "one pass of pread and pwrite, by two threads";
pub const WRITING: &str = "pwrite alone, reading nothing";
pub const WRITING_BY_TWO: &str = "pwrite alone, by two threads";

/// All contenders, in the order of the tables.
pub const ALL: &[Contender] = &[
    contender(FAST_DURABLE, true, Kind::Ours, |job| ours(job, true, true)),
    contender(SPARSE_DURABLE, true, Kind::Ours, |job| {
        ours(job, false, true)
    }),
    contender(GUEST_FAST_DURABLE, true, Kind::Ours, |job| {
        in_guest(job, true)
    }),
    contender(PACKED_DURABLE, true, Kind::Ours, |job| packed(job, true)),
    contender(CP_SYNC, true, Kind::Sharing, |job| {
        cp_sync(job, "--reflink=auto")
    }),
    contender(CP_NEVER_SYNC, true, Kind::Moving, |job| {
        cp_sync(job, "--reflink=never")
    }),
    contender(ONE_PASS_SYNC, true, Kind::Floor, |job| {
        one_pass(job, offload, true)
    }),
    contender(READ_WRITE_SYNC, true, Kind::Floor, |job| {
        one_pass(job, read_write, true)
    }),
    contender(FAST, false, Kind::Ours, |job| ours(job, true, false)),
    contender(SPARSE, false, Kind::Ours, |job| ours(job, false, false)),
    contender(GUEST_FAST, false, Kind::Ours, |job| in_guest(job, false)),
    contender(PACKED, false, Kind::Ours, |job| packed(job, false)),
    contender(CP, false, Kind::Sharing, |job| cp(job, "--reflink=auto")),
    contender(CP_NEVER, false, Kind::Moving, |job| {
        cp(job, "--reflink=never")
    }),
    contender(QEMU_IMG, false, Kind::Moving, |job| {
        let args = ["convert", "-f", "raw", "-O", "raw"];
        program(
            Command::new("qemu-img")
                .args(args)
                .arg(job.src)
                .arg(job.dst),
        )
    }),
    contender(XCP, false, Kind::Sharing, |job| {
        program(
            Command::new("xcp")
                .arg("--no-progress")
                .arg(job.src)
                .arg(job.dst),
        )
    }),
    contender(RSYNC, false, Kind::Moving, |job| {
        program(Command::new("rsync").arg("-S").arg(job.src).arg(job.dst))
    }),
    contender(STD, false, Kind::Sharing, |job| {
        let start = Instant::now();
        fs::copy(job.src, job.dst)?;
        Ok(start.elapsed())
    }),
    contender(GUEST_STD, false, Kind::Guest, |job| own_copy(job, "std")),
    contender(GUEST_SPLICE, false, Kind::Guest, |job| {
        own_copy(job, "splice")
    }),
    contender(GUEST_STREAM, false, Kind::Guest, |job| {
        own_copy(job, "stream")
    }),
    contender(FICLONE, false, Kind::Floor, |job| {
        let start = Instant::now();
        staged_ficlone(job.src, job.dst)?;
        Ok(start.elapsed())
    }),
    contender(ONE_PASS, false, Kind::Floor, |job| {
        one_pass(job, offload, false)
    }),
    contender(READ_WRITE, false, Kind::Floor, |job| {
        one_pass(job, read_write, false)
    }),
    contender(READ_WRITE_BY_TWO, false, Kind::Floor, |job| {
        pass_by_two(job, read_write)
    }),
    contender(WRITING, false, Kind::Floor, |job| {
        one_pass(job, write_only, false)
    }),
    contender(WRITING_BY_TWO, false, Kind::Floor, |job| {
        pass_by_two(job, write_only)
    }),
];

const fn contender(
    name: &'static str,
    durable: bool,
    kind: Kind,
    run: fn(&Job<'_>) -> Result<Duration>,
) -> Contender {
    Contender {
        name,
        durable,
        kind,
        run,
    }
}

fn ours(job: &Job<'_>, sharing: bool, durable: bool) -> Result<Duration> {
    let options = CopyOptions::new().durable(durable);
    let start = Instant::now();
    match sharing {
        true => options.fast_copy(job.src, job.dst)?,
        false => options.sparse_copy(job.src, job.dst)?,
    };
    Ok(start.elapsed())
}

fn packed(job: &Job<'_>, durable: bool) -> Result<Duration> {
    let job = Job {
        src: job.packed,
        ..*job
    };
    ours(&job, true, durable)
}

/// Makes a copy without synchronisation, for callers that measure the time.
pub fn fast_copy_no_sync(src: &Path, dst: &Path) -> Result<()> {
    CopyOptions::new().durable(false).fast_copy(src, dst)?;
    Ok(())
}

fn in_guest(job: &Job<'_>, durable: bool) -> Result<Duration> {
    let calls = guests::fast_copy(
        Form::Async,
        FastCopyCtx::new(),
        dir_and_name(job.src)?,
        dir_and_name(job.dst)?,
        durable,
        1,
    )?;
    Ok(calls.times.iter().sum())
}

fn own_copy(job: &Job<'_>, method: &str) -> Result<Duration> {
    let (dir, src) = dir_and_name(job.src)?;
    let (dst_dir, dst) = dir_and_name(job.dst)?;
    ensure!(dir == dst_dir, "the guest has one directory");
    let times = guests::own_copy(method, dir, src, dst, 1)?;
    Ok(times.iter().sum())
}

fn dir_and_name(path: &Path) -> Result<(&Path, &str)> {
    let dir = path.parent().context("a directory")?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .context("a name")?;
    Ok((dir, name))
}

fn cp(job: &Job<'_>, reflink: &str) -> Result<Duration> {
    program(
        Command::new("cp")
            .args([reflink, "--sparse=auto"])
            .arg(job.src)
            .arg(job.dst),
    )
}

fn cp_sync(job: &Job<'_>, reflink: &str) -> Result<Duration> {
    let start = Instant::now();
    cp(job, reflink)?;
    program(Command::new("sync").arg(job.dst))?;
    Ok(start.elapsed())
}

/// Runs a program. Returns the time from before its start to its end.
fn program(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let time = start.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(time)
}

/// Makes a clone by the fewest system calls that publish it atomically.
pub fn staged_ficlone(src: &Path, dst: &Path) -> Result<()> {
    staged(src, dst, |src, copy| {
        Ok(rustix::fs::ioctl_ficlone(copy, src)?)
    })
}

/// Makes an unnamed file, fills it, and links it.
pub fn staged(src: &Path, dst: &Path, fill: impl FnOnce(&File, &File) -> Result<()>) -> Result<()> {
    let src = File::open(src)?;
    let dir = dst.parent().context("a directory")?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let copy = File::from(rustix::fs::openat(CWD, dir, flags, Mode::RUSR)?);
    fill(&src, &copy)?;
    rustix::fs::linkat(&copy, "", CWD, dst, AtFlags::EMPTY_PATH)?;
    Ok(())
}

/// A function that copies a range from one file to the other.
type MoveRange = fn(&File, &File, Range<u64>) -> Result<()>;

/// Copies the ranges of the data by one thread.
fn one_pass(job: &Job<'_>, move_range: MoveRange, durable: bool) -> Result<Duration> {
    pass(job, durable, |src, dst| {
        let mut ranges = job.data.iter();
        ranges.try_for_each(|range| move_range(src, dst, range.clone()))
    })
}

/// Copies the ranges of the data by two threads, piece by piece.
fn pass_by_two(job: &Job<'_>, move_range: MoveRange) -> Result<Duration> {
    const PIECE: u64 = 8 * MIB;
    let pieces = Mutex::new(job.data.iter().flat_map(|range| {
        let starts = (range.start..range.end).step_by(PIECE as usize);
        starts.map(|start| start..range.end.min(start + PIECE))
    }));
    let next = || pieces.lock().unwrap().next();
    pass(job, false, |src, dst| {
        let work = || -> Result<()> {
            while let Some(piece) = next() {
                move_range(src, dst, piece)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let other = scope.spawn(work);
            work().and(other.join().expect("a thread panicked"))
        })
    })
}

/// Makes a file of the source's size, and copies the data by `move_data`. Returns the time.
fn pass(
    job: &Job<'_>,
    durable: bool,
    move_data: impl FnOnce(&File, &File) -> Result<()>,
) -> Result<Duration> {
    let start = Instant::now();
    let src = File::open(job.src)?;
    let dst = File::create_new(job.dst)?;
    dst.set_len(src.metadata()?.len())?;
    move_data(&src, &dst)?;
    if durable {
        dst.sync_all()?;
    }
    Ok(start.elapsed())
}

pub fn offload(src: &File, dst: &File, range: Range<u64>) -> Result<()> {
    let (mut from, mut to) = (range.start, range.start);
    while from < range.end {
        let length = (range.end - from).min(1 << 30) as usize;
        let moved = rustix::fs::copy_file_range(
            src.as_fd(),
            Some(&mut from),
            dst.as_fd(),
            Some(&mut to),
            length,
        )?;
        ensure!(moved > 0, "copy_file_range moved nothing");
    }
    Ok(())
}

fn read_write(src: &File, dst: &File, range: Range<u64>) -> Result<()> {
    let length = (range.end - range.start).min(256 << 10) as usize;
    let mut buffer = vec![0; length];
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(buffer.len() as u64) as usize;
        src.read_exact_at(&mut buffer[..length], at)?;
        dst.write_all_at(&buffer[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// Writes a range from a buffer that stays in the processor's cache.
fn write_only(_src: &File, dst: &File, range: Range<u64>) -> Result<()> {
    static BUFFER: [u8; 256 << 10] = [1; 256 << 10];
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(BUFFER.len() as u64) as usize;
        dst.write_all_at(&BUFFER[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
