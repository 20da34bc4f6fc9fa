//! One large file, copied by everybody.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};

use crate::contenders::{self, Contender, Job, Trait};
use crate::disks::Disks;
use crate::files::{GIB, KIB, MIB, allocated, data_ranges, same_content};
use crate::filesystems::{FileSystem, has_disk, reflinks};
use crate::inputs;
use crate::results::Results;
use crate::{Group, ROUNDS};

pub const DENSE: &str = "dense";
pub const IMAGE: &str = "image";
pub const EXTENTS: &str = "50k-extents";
pub const TERABYTE: &str = "1-TiB";
pub const COLD: &str = "preallocated-cold";
pub const WARM: &str = "preallocated-warm";
pub const CLONE_EXTENTS: &str = "clone-50k-extents";

/// What was written of a preallocated file, in bytes.
const WRITTEN: u64 = 64 * MIB;

/// In seconds.
const SLOW: f64 = 8.0;

/// From one file system to another.
pub const ACROSS: &str = "ext4-to-xfs";

pub fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    let mut add = |work, places: &[&'static str]| {
        groups.extend(places.iter().map(|on| Group { work, on, run }));
    };
    let everywhere = ["ext4", "xfs", "btrfs", "tmpfs", ACROSS];
    add(DENSE, &everywhere);
    add(IMAGE, &everywhere);
    add(EXTENTS, &everywhere[..4]);
    add(TERABYTE, &everywhere[..4]);
    add(COLD, &everywhere[..3]);
    add(WARM, &everywhere[..3]);
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

/// Whether a contender takes part in a group. Who would write a TiB of zeros doesn't, nor who takes
/// minutes for what was shown on ext4.
fn takes_part(contender: &Contender, work: &str, on: &str) -> bool {
    use contenders::*;
    if contender.durable && !has_disk(on) {
        return false;
    }
    let can_clone = reflinks(on);
    let preallocated = matches!(work, COLD | WARM);
    match contender.name {
        FICLONE => can_clone,
        PACKED | PACKED_DURABLE => work == TERABYTE,
        _ if work == CLONE_EXTENTS => {
            matches!(
                contender.name,
                FAST | FAST_DURABLE | CP | CP_SYNC | GUEST_FAST
            )
        }
        _ if preallocated && contender.durable => false,
        ONE_PASS | ONE_PASS_SYNC => on == "ext4",
        READ_WRITE | READ_WRITE_SYNC => on != "ext4",
        WRITING => matches!(on, "ext4" | "tmpfs") && matches!(work, DENSE | IMAGE | EXTENTS),
        GUEST_FAST_DURABLE => on == "ext4",
        GUEST_STD | GUEST_SPLICE => on == "ext4" && matches!(work, DENSE | IMAGE),
        STD => work != TERABYTE && (work != IMAGE || can_clone || on == "ext4"),
        RSYNC => on == "ext4" && work != TERABYTE && !preallocated,
        CP_NEVER | CP_NEVER_SYNC => can_clone,
        _ => true,
    }
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

    let contenders: Vec<&Contender> = contenders::ALL
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
    // Who takes long has one round, the first, and no other: that is no close race.
    let mut slow = Vec::new();
    for round in 0..=ROUNDS {
        // In another order each time, the same in each run: nobody always has the same one before.
        let mut turns = contenders.clone();
        turns.sort_by_cached_key(|contender| hash(&(round, contender.name)));
        for contender in turns {
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

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
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
            WARM => inputs::warm(&self.src)?,
            _ => {}
        }
        let job = Job {
            src: &self.src,
            dst: &self.dst,
            data: &self.data,
            packed: &self.packed,
        };
        let time = contender.run(&job)?;
        let src = match contender.name {
            contenders::PACKED | contenders::PACKED_DURABLE => &self.packed,
            _ => &self.src,
        };
        if contender.name != contenders::WRITING {
            same_content(src, &self.dst)
                .map_err(|difference| anyhow!("{}: {difference}", contender.name))?;
        }
        let taken = allocated(&self.dst);
        if contender.trait_of == Trait::Ours {
            // A clone has its source's blocks; bytes that were moved are the source's data, and
            // some room for the file system's own records.
            let data: u64 = self.data.iter().map(|range| range.end - range.start).sum();
            let cloned = reflinks(group.on) && !contender.name.starts_with("sparse_copy");
            let most = match (cloned, group.work) {
                (true, _) => allocated(src).max(data),
                (false, COLD | WARM) => WRITTEN,
                (false, _) => data,
            };
            ensure!(
                taken <= most + 8 * MIB,
                "{}: {taken} bytes are allocated for {data} bytes of data",
                contender.name
            );
        }
        fs::remove_file(&self.dst)?;
        inputs::settle(self.dst.parent().unwrap())?;
        Ok((time.as_secs_f64(), taken))
    }
}
