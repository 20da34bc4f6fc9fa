//! Copies of one large file, by all contenders.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use fast_copy_test_support::files::{GIB, KIB, MIB, allocated, data_ranges};
use fast_copy_test_support::filesystems::{FileSystem, has_disk, reflinks};

use crate::contenders::{self, Contender, Job, Kind};
use crate::disks::Disks;
use crate::group::Group;
use crate::results::Results;
use crate::turns::{ROUNDS, shuffle};
use crate::{checks, inputs};

pub const DENSE: &str = "dense";
pub const IMAGE: &str = "image";
pub const EXTENTS: &str = "50k-extents";
pub const TERABYTE: &str = "1-TiB";
pub const COLD: &str = "preallocated-cold";
pub const WARM: &str = "preallocated-warm";
pub const CLONE_EXTENTS: &str = "clone-50k-extents";

/// The written bytes of a preallocated file.
pub const WRITTEN: u64 = 64 * MIB;

/// The counted rounds where about a GiB is copied: such copies take longer, so noise is more likely.
const ROUNDS_OF_LARGE: usize = 9;

/// A contender that takes longer has one round only, in seconds.
const SLOW: f64 = 8.0;

/// From one file system to another.
pub const ACROSS: &str = "ext4-to-xfs";

/// The file systems for preallocated files. On tmpfs a file is always in memory, so never cold.
pub const PREALLOCATED: [(&str, &[&str]); 2] = [
    (COLD, &["ext4", "xfs", "btrfs"]),
    (WARM, &["ext4", "xfs", "btrfs", "tmpfs"]),
];

pub fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    let mut add = |work, places: &[&'static str]| {
        groups.extend(places.iter().map(|on| Group { work, on, run }));
    };
    let everywhere = ["ext4", "xfs", "btrfs", "tmpfs", ACROSS];
    add(DENSE, &everywhere);
    add(IMAGE, &everywhere);
    add(EXTENTS, &everywhere);
    add(TERABYTE, &everywhere[..4]);
    for (work, places) in PREALLOCATED {
        add(work, places);
    }
    add(CLONE_EXTENTS, &["xfs", "btrfs"]);
    groups
}

fn build(work: &str, src: &Path, packed: &Path) -> Result<()> {
    match work {
        DENSE => inputs::sparse(src, GIB, std::iter::once(0..GIB)),
        IMAGE => inputs::image(src),
        EXTENTS => inputs::extents(src, 50_000, 4 * KIB),
        TERABYTE => {
            inputs::spread(src, 1024 * GIB, 64, MIB)?;
            inputs::extents(packed, 64, MIB)
        }
        COLD | WARM => inputs::preallocated(src),
        CLONE_EXTENTS => inputs::spread(src, GIB, 50_000, 4 * KIB),
        other => Err(anyhow!("no work {other}")),
    }
}

/// Whether a contender takes part in a group. Left out are
///
/// - those that would write a TiB of zeros: `std::fs::copy` where it can't clone, `rsync` (it reads
///   them), and copies by a guest's own means;
/// - `rsync` on images and on 50,000 extents, except on ext4, where it takes seconds, and on
///   preallocated files, whose zeros it reads too;
/// - `std::fs::copy` of the image on tmpfs and across: it takes 14 s on ext4;
/// - copies by a guest's own means, except on ext4: their time is the host's work for each call, not
///   the file system's;
/// - in the group of clones, those that don't clone, and sparse_copy;
/// - durable copies of preallocated files by `cp --reflink=never` and by one thread: they write the same
///   as without `fsync`;
/// - the durable guest, except on ext4, where it takes as long as the native call;
/// - of the two calls for one pass, the one that is slower on the file system.
fn takes_part(contender: &Contender, work: &str, on: &str) -> bool {
    use contenders::{
        CP_NEVER_SYNC, FICLONE, GUEST_FAST_DURABLE, GUEST_SPLICE, GUEST_STD, GUEST_STREAM,
        ONE_PASS, ONE_PASS_SYNC, PACKED, PACKED_DURABLE, READ_WRITE, READ_WRITE_BY_TWO,
        READ_WRITE_SYNC, RSYNC, SPARSE, SPARSE_DURABLE, STD, WRITING, WRITING_BY_TWO,
    };
    if contender.durable && !has_disk(on) {
        return false;
    }
    let can_clone = reflinks(on);
    let preallocated = matches!(work, COLD | WARM);
    match contender.name {
        FICLONE => can_clone,
        PACKED | PACKED_DURABLE => work == TERABYTE,
        SPARSE | SPARSE_DURABLE => work != CLONE_EXTENTS,
        GUEST_FAST_DURABLE => on == "ext4" && !preallocated,
        _ if work == CLONE_EXTENTS => match contender.kind {
            Kind::Ours | Kind::Sharing => true,
            Kind::Moving | Kind::Guest | Kind::Floor => false,
        },
        CP_NEVER_SYNC | ONE_PASS_SYNC | READ_WRITE_SYNC if preallocated => false,
        ONE_PASS | ONE_PASS_SYNC => on == "ext4",
        READ_WRITE | READ_WRITE_SYNC => on != "ext4",
        WRITING | WRITING_BY_TWO | READ_WRITE_BY_TWO => {
            matches!(on, "ext4" | "tmpfs") && matches!(work, DENSE | IMAGE | EXTENTS)
        }
        GUEST_STD | GUEST_SPLICE | GUEST_STREAM => on == "ext4" && matches!(work, DENSE | IMAGE),
        STD => can_clone || work != TERABYTE && (work != IMAGE || on == "ext4"),
        RSYNC => match work {
            DENSE => on != ACROSS,
            IMAGE | EXTENTS => on == "ext4",
            _ => false,
        },
        _ => true,
    }
}

/// Whether a contender writes in chunks so large that file systems allocate memory for them in the blocks
/// that free page reporting returns to the host ([`crate::reserve`]). Such a contender copies once before
/// the measured copy, which then reuses these blocks. `xcp` does so where it doesn't use
/// `copy_file_range`.
fn takes_large_blocks(contender: &Contender, work: &str) -> bool {
    is_large(work) && matches!(contender.name, contenders::QEMU_IMG | contenders::XCP)
}

/// Whether about a gigabyte of data is copied. The times are close, so noise of the machine matters more.
fn is_large(work: &str) -> bool {
    matches!(work, DENSE | IMAGE)
}

fn run(group: &Group, disks: &Disks, fs: &FileSystem, results: &mut Results) -> Result<()> {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let packed = dir.path().join("packed");
    build(group.work, &src, &packed)?;
    let other = match group.on.rsplit_once("-to-") {
        Some((_, "xfs")) => Some(disks.second("xfs")?),
        _ => None,
    };
    let dst = match &other {
        Some(other) => other.fs.root.join("dst"),
        None => dir.path().join("dst"),
    };
    let ranges: Vec<Range<u64>> = data_ranges(&File::open(&src)?);
    let place = Place {
        src,
        dst,
        packed,
        data: ranges,
    };
    inputs::warm_data(&place.src, &place.data)?;

    let mut contenders: Vec<&Contender> = contenders::ALL
        .iter()
        .filter(|contender| takes_part(contender, group.work, group.on))
        .filter(|contender| {
            let installed = contender.is_installed();
            if !installed {
                println!("  {}: not installed, so left out", contender.name);
            }
            installed
        })
        .collect();
    // Slow contenders have one round only: their times are far from the others.
    let mut slow = Vec::new();
    let rounds = match is_large(group.work) {
        true => ROUNDS_OF_LARGE,
        false => ROUNDS,
    };
    for round in 0..=rounds {
        shuffle(round, &mut contenders, |contender| {
            contender.name.to_owned()
        });
        for contender in &contenders {
            let name = contender.name;
            if slow.contains(&name) {
                continue;
            }
            let (seconds, allocated) = place.copy(contender, group)?;
            if seconds > SLOW {
                slow.push(name);
            }
            if round > 0 || seconds > SLOW {
                results.add_copy(group.work, group.on, name, seconds, Some(allocated));
            }
        }
    }
    results.print(group.work, group.on, 1e3, "ms");
    Ok(())
}

struct Place {
    src: PathBuf,
    dst: PathBuf,
    packed: PathBuf,
    data: Vec<Range<u64>>,
}

impl Place {
    /// Makes one copy, checks it, and removes it.
    fn copy(&self, contender: &Contender, group: &Group) -> Result<(f64, u64)> {
        match group.work {
            COLD => inputs::cool(&self.src)?,
            WARM if has_disk(group.on) => inputs::warm(&self.src)?,
            WARM => inputs::warm_by_mapping(&self.src)?,
            _ => {}
        }
        let job = Job {
            src: &self.src,
            dst: &self.dst,
            data: &self.data,
            packed: &self.packed,
        };
        if takes_large_blocks(contender, group.work) {
            contender.run(&job)?;
            fs::remove_file(&self.dst)?;
        }
        let time = contender.run(&job)?;
        let src = match contender.name {
            contenders::PACKED | contenders::PACKED_DURABLE => &self.packed,
            _ => &self.src,
        };
        if !matches!(
            contender.name,
            contenders::WRITING | contenders::WRITING_BY_TWO
        ) {
            checks::same(src, &self.dst).context(contender.name)?;
        }
        if contender.kind == Kind::Ours {
            // A clone has the same blocks allocated as its source.
            let clones = reflinks(group.on) && !contender.name.starts_with("sparse_copy");
            match (clones, group.work) {
                (true, _) => checks::takes_at_most(&self.dst, allocated(src)),
                (false, COLD | WARM) => {
                    checks::takes_at_most(&self.dst, WRITTEN + checks::metadata(64))
                }
                (false, _) => checks::no_denser(&self.dst, &self.data),
            }
            .context(contender.name)?;
        }
        let taken = allocated(&self.dst);
        fs::remove_file(&self.dst)?;
        inputs::settle(self.dst.parent().unwrap())?;
        Ok((time.as_secs_f64(), taken))
    }
}
