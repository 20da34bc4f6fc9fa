//! Copies a file, and compares the copy with the model of its source.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use fast_copy_test_support::files::{allocated, data_ranges, names};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ALL, Function};
use wasmtime_fast_copy::{CopyMethod, CopyNotes, CopyOptions, CopyQuota, Limits};

use super::layout::{BLOCK, Layout};
use crate::model::random::Random;

/// What was tried, and how often.
#[derive(Debug, Default)]
pub struct Counts {
    pub layouts: u64,
    pub copies: u64,
    pub clones: u64,
    pub durable: u64,
    pub enlarged: u64,
}

/// One copy to make.
#[derive(Debug)]
struct Plan {
    function: Function,
    replace: bool,
    dig_holes: bool,
    durable: bool,
    preserve_times: bool,
    size: Option<u64>,
}

/// Makes the file of a seed on one file system, and copies it twice to another one. Returns how the result is
/// wrong.
pub fn check(
    seed: u64,
    from: &FileSystem,
    to: &FileSystem,
    counts: &mut Counts,
) -> Result<(), String> {
    let mut random = Random::new(seed);
    let (src_dir, dst_dir) = (from.dir(), to.dir());
    let (src, dst) = (src_dir.path().join("src"), dst_dir.path().join("dst"));
    let layout = Layout::make(&mut random, &src, &from.kind)
        .map_err(|error| format!("the layout of the seed {seed} can't be made: {error}"))?;
    counts.layouts += 1;
    for _ in 0..2 {
        let plan = Plan::new(&mut random, &layout);
        check_copy(&layout, &plan, from, to, &src, &dst, counts).map_err(|wrong| {
            format!(
                "FAST_COPY_LAYOUT={seed}: {} to {}: {wrong}\n{plan:?}\n{}",
                from.name,
                to.name,
                layout.steps.join("\n")
            )
        })?;
        if names(dst_dir.path()) != ["dst"] || names(src_dir.path()) != ["src"] {
            return Err(format!(
                "FAST_COPY_LAYOUT={seed}: {plan:?}: there are other names"
            ));
        }
    }
    Ok(())
}

impl Plan {
    fn new(random: &mut Random, layout: &Layout) -> Self {
        let longest = 1 << random.below(30);
        Self {
            function: random.one_of(&ALL),
            replace: random.chance(50),
            dig_holes: random.chance(25),
            durable: random.chance(4),
            preserve_times: random.chance(30),
            size: match random.below(5) {
                0 => Some(layout.size + random.below(longest)),
                _ => None,
            },
        }
    }
}

fn check_copy(
    layout: &Layout,
    plan: &Plan,
    from: &FileSystem,
    to: &FileSystem,
    src: &Path,
    dst: &Path,
    counts: &mut Counts,
) -> Result<(), String> {
    match plan.replace {
        true => fs::write(dst, "the old content"),
        false => fs::remove_file(dst).or(Ok(())),
    }
    .map_err(|error| error.to_string())?;
    let before = fs::metadata(src).map_err(|error| error.to_string())?;
    let source_allocated = allocated(src);

    let quota = CopyQuota::new(u64::MAX);
    let mut options = CopyOptions::new()
        .replace(plan.replace)
        .dig_holes(plan.dig_holes)
        .durable(plan.durable)
        .preserve_times(plan.preserve_times)
        .limits(Limits::new().quota(quota.clone()));
    if let Some(size) = plan.size {
        options = options.size(size);
    }
    let report = plan
        .function
        .call(&options, src, dst)
        .map_err(|error| error.to_string())?;
    let copy = fs::metadata(dst).map_err(|error| error.to_string())?;
    counts.copies += 1;
    counts.durable += u64::from(plan.durable);
    counts.enlarged += u64::from(plan.size.is_some());

    let is_clone = report.method == CopyMethod::Reflink;
    counts.clones += u64::from(is_clone);
    let size = plan.size.unwrap_or(layout.size);
    let data = layout.data(plan.dig_holes);
    let (most, least_copied, most_copied) = match is_clone {
        // A clone that is enlarged gets its last block for itself, and on XFS 128 KiB beside it (docs/limits.md).
        true => (
            source_allocated + if to.kind == "xfs" { 132 << 10 } else { BLOCK },
            0,
            0,
        ),
        false => {
            let most = data.len() as u64 * BLOCK + metadata(&to.kind, data.len() as u64);
            let in_file = |block: u64| BLOCK.min(layout.size - block * BLOCK);
            let least = layout.not_zero().map(in_file).sum();
            (most, least, data.iter().copied().map(in_file).sum())
        }
    };
    let can_clone = from.name == to.name && to.clones(plan.function);
    // A clone of no extents is within the limit of 0.
    let is_limited = plan.function == Function::FastWithoutClone && from.name == to.name;
    let has_no_extents = is_limited && layout.not_zero().next().is_none();
    let rules = [
        (
            is_clone == can_clone || is_clone && has_no_extents,
            "the method",
        ),
        (report.size == size && copy.len() == size, "the size"),
        (
            (least_copied..=most_copied).contains(&report.copied),
            "the bytes moved",
        ),
        (
            report.allocated <= most && allocated(dst) <= most,
            "what is allocated",
        ),
        (report.durable == plan.durable, "durable"),
        (report.notes == CopyNotes::default(), "the notes"),
        (
            quota.used() == report.allocated.max(report.copied),
            "what is charged",
        ),
        (quota.reserved() == 0, "what is reserved"),
        (copy.mode() == before.mode(), "the mode"),
        (
            !plan.preserve_times || times(&copy) == times(&before),
            "the times",
        ),
        (
            fs::metadata(src).is_ok_and(|now| {
                now.len() == before.len() && now.ctime_nsec() == before.ctime_nsec()
            }),
            "the source",
        ),
    ];
    if let Some((_, what)) = rules.iter().find(|(holds, _)| !holds) {
        return Err(format!(
            "{what}: {report:?}, {} allocated; expected at most {most}, {least_copied} to {most_copied} moved, {} \
             charged",
            allocated(dst),
            quota.used()
        ));
    }
    compare(layout, dst)
}

fn times(file: &fs::Metadata) -> [(i64, i64); 2] {
    [
        (file.mtime(), file.mtime_nsec()),
        (file.atime(), file.atime_nsec()),
    ]
}

/// Returns the most bytes that a file system allocates for the block map of so many blocks of data.
fn metadata(kind: &str, blocks: u64) -> u64 {
    match kind {
        // A leaf has 340 extents on ext4, and more than 200 on XFS.
        "ext4" | "xfs" => BLOCK * (2 + blocks / 200),
        _ => 0,
    }
}

/// Compares the content of a copy with the model of its source.
fn compare(layout: &Layout, dst: &Path) -> Result<(), String> {
    let file = File::open(dst).map_err(|error| error.to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let mut left: std::collections::BTreeSet<u64> = layout.not_zero().collect();
    for range in data_ranges(&file) {
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            let length = BLOCK.min(size - block * BLOCK) as usize;
            let mut found = vec![0; length];
            file.read_exact_at(&mut found, block * BLOCK)
                .map_err(|error| error.to_string())?;
            let is_same = match layout.block(block) {
                Some(expected) => found == expected[..length],
                None => found.iter().all(|&byte| byte == 0),
            };
            if !is_same {
                return Err(format!(
                    "the content differs in the block at {}",
                    block * BLOCK
                ));
            }
            left.remove(&block);
        }
    }
    match left.first() {
        Some(block) => Err(format!("there is a hole at {}", block * BLOCK)),
        None => Ok(()),
    }
}
