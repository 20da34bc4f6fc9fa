//! Writers and copies run freely at the same time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use fast_copy_test_support::features::Feature;
use fast_copy_test_support::files::names;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::function::{ONE_WORKER, TWO_WORKERS};
use fast_copy_test_support::scale::scaled;
use wasmtime_fast_copy::{
    CopyErrorKind, CopyOptions, CopyQuota, Destination, Limits, Sharing, Source,
};

use super::log::{Call, Content, Follower, Log, have_a_moment_in_common};
use super::states::read;
use super::writer::{Kind, Writer};
use super::{Figures, Layout, make_source};

/// A way to move the bytes.
struct Method {
    name: &'static str,
    needs: Option<Feature>,
    sharing: Sharing,
    /// Whether a clone is tried.
    clones: bool,
    two_threads: bool,
    layout: Layout,
}

const METHODS: [Method; 4] = [
    Method {
        name: "clone",
        needs: Some(Feature::Reflinks),
        sharing: Sharing::Allowed,
        clones: true,
        two_threads: false,
        layout: Layout::Dense,
    },
    Method {
        name: "offload",
        needs: Some(Feature::BlockMap),
        sharing: Sharing::Allowed,
        clones: false,
        two_threads: false,
        layout: Layout::Dense,
    },
    Method {
        name: "one thread",
        needs: None,
        sharing: Sharing::Forbidden,
        clones: false,
        two_threads: false,
        layout: Layout::Dense,
    },
    Method {
        name: "two threads",
        needs: None,
        sharing: Sharing::Forbidden,
        clones: false,
        two_threads: true,
        layout: Layout::Fragmented,
    },
];

/// Copies a source beside one writer of each of these kinds.
pub fn test(fs: &FileSystem, kinds: &[Kind]) {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let row = format!("{}, {}", fs.name, names.join(" and "));
    let dir = fs.dir();
    if !kinds.iter().all(|kind| kind.is_supported(dir.path())) {
        println!("{row}: the file system has no such operation");
        return;
    }
    let mut figures = Figures::default();
    let has = |method: &&Method| method.needs.is_none_or(|feature| fs.has(feature));
    for method in METHODS.iter().filter(has) {
        copy_beside(fs, kinds, method, &mut figures);
    }
    figures.record(&row);
    assert!(
        figures.violations.is_empty(),
        "{row}: {}",
        figures.violations[..figures.violations.len().min(5)].join("\n")
    );
    assert!(
        figures.ok > 0,
        "{row}: no copy succeeded, so nothing was tested"
    );
}

/// Stops the writers, also if the test fails.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn copy_beside(fs: &FileSystem, kinds: &[Kind], method: &Method, figures: &mut Figures) {
    let dir = fs.dir();
    let src = dir.path().join("src");
    let state = make_source(&src, method.layout);
    let share = state.len() / kinds.len();
    let regions: Vec<_> = (0..kinds.len())
        .map(|number| number * share..(number + 1) * share)
        .collect();
    let logs: Vec<_> = regions.iter().map(|_| Log::default()).collect();
    let mut followers: Vec<_> = (0..logs.len())
        .map(|number| {
            let region = regions[number].clone();
            Follower::new(
                &logs[number],
                region.clone(),
                state[region].to_vec(),
                kinds[number],
            )
        })
        .collect();
    let (stop, copy_takes) = (AtomicBool::new(false), AtomicU64::new(1_000_000));
    thread::scope(|scope| {
        let _stop = StopWhenDropped(&stop);
        for (number, log) in logs.iter().enumerate() {
            let (stop, copy_takes) = (&stop, &copy_takes);
            // The operations follow from the seed, but not their moments.
            let seed = 1000 + number as u64;
            let mut writer = Writer::new(
                kinds[number],
                &src,
                regions[number].clone(),
                number as u64,
                seed,
            );
            scope.spawn(move || writer.run(log, stop, copy_takes));
        }
        for number in 0..scaled(250, 12) {
            let began = Instant::now();
            let made = copy(dir.path(), method, number % 2 == 1);
            copy_takes.store(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            figures.copies += 1;
            let result = examine(made, dir.path(), &mut followers, &regions);
            match result {
                Ok(Made::State) => figures.ok += 1,
                Ok(Made::Exception) => figures.exceptions += 1,
                Ok(Made::SourceChanged) => figures.source_changed += 1,
                Err(violation) => {
                    let violation = format!("{}, copy {number}: {violation}", method.name);
                    println!("violation: {}, {violation}", fs.name);
                    figures.violations.push(violation);
                }
            }
        }
    });
}

enum Made {
    State,
    Exception,
    SourceChanged,
}

const OLD: &str = "old";

/// Makes a copy, over a file with an old content if `replaces`. Returns the moments of the call, and whether the copy
/// was made.
/// Fails if the call leaves anything but a copy or the old content.
fn copy(dir: &Path, method: &Method, replaces: bool) -> Result<(Call, bool), String> {
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    let _ = fs::remove_file(&dst);
    if replaces {
        fs::write(&dst, OLD).unwrap();
    }
    let quota = CopyQuota::new(u64::MAX);
    let mut limits = Limits::new().quota(quota.clone());
    if !method.clones {
        limits = limits.max_clone_extents(0);
    }
    let workers = if method.two_threads {
        TWO_WORKERS
    } else {
        ONE_WORKER
    };
    let options = CopyOptions::new()
        .durable(false)
        .replace(replaces)
        .max_workers(workers)
        .limits(limits);
    let begun = Instant::now();
    let source = Source::open(&src, true);
    let opened = Instant::now();
    let result = source.and_then(|source| {
        let destination = Destination::open(&dst)?;
        options.copy(&source, &destination, method.sharing, &|_| ())
    });
    let ended = Instant::now();
    let is_made = result.is_ok();
    match result {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), CopyErrorKind::SourceChanged) => {
            let old = fs::read_to_string(&dst).ok();
            if old.as_deref() != replaces.then_some(OLD) {
                return Err(format!("source-changed, and the destination is {old:?}"));
            }
            if quota.used() > 0 {
                return Err(format!(
                    "source-changed, and {} bytes are charged",
                    quota.used()
                ));
            }
        }
        Err(error) => return Err(format!("{error}")),
    }
    let expected: &[&str] = if is_made || replaces {
        &["dst", "src"]
    } else {
        &["src"]
    };
    if names(dir) != expected || quota.reserved() > 0 {
        return Err(format!(
            "{:?} are there, and {} bytes are reserved",
            names(dir),
            quota.reserved()
        ));
    }
    Ok((
        Call {
            begun,
            opened,
            ended,
        },
        is_made,
    ))
}

/// Compares a copy with the states of its source.
fn examine(
    made: Result<(Call, bool), String>,
    dir: &Path,
    followers: &mut [Follower<'_>],
    regions: &[std::ops::Range<usize>],
) -> Result<Made, String> {
    let (call, is_made) = made?;
    let copy = match is_made {
        true => Some(read(&dir.join("dst"))?),
        false => None,
    };
    let only = regions.len() == 1;
    let mut windows = Vec::new();
    let mut result = Made::State;
    for (follower, region) in followers.iter_mut().zip(regions) {
        let part = copy.as_deref().map(|copy| match only {
            // It may have another size.
            true => copy,
            false => &copy[region.clone()],
        });
        match follower.examine(part, &call) {
            (_, Content::State(moments)) => windows.push(moments),
            (_, Content::Exception) => result = Made::Exception,
            (_, Content::Wrong(wrong)) => return Err(wrong),
        }
    }
    if !is_made {
        return Ok(Made::SourceChanged);
    }
    if windows.len() == regions.len() && !have_a_moment_in_common(&windows) {
        return Err(format!(
            "no moment has the content of all writers: {windows:?}"
        ));
    }
    Ok(result)
}
