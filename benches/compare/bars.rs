//! What is asked of the engine, and whether it is met.

use crate::calls;
use crate::contenders::*;
use crate::filesystems::reflinks;
use crate::memory;
use crate::results::Results;
use crate::whole_files::*;

/// A bar, and what was measured.
pub struct Bar {
    pub what: String,
    /// What is asked, in words.
    pub bar: String,
    /// What was measured, in words; none where a contender is missing.
    pub measured: Option<String>,
    pub met: bool,
}

const NO_SYNC_PEERS: [&str; 6] = [CP, CP_NEVER, QEMU_IMG, XCP, RSYNC, STD];
/// Those that keep holes.
pub const SPARSE_PEERS: [&str; 5] = [CP, CP_NEVER, QEMU_IMG, XCP, RSYNC];
/// Those that a dense file is measured against.
pub const DENSE_PEERS: [&str; 4] = [CP, CP_NEVER, STD, XCP];

pub fn all(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let judge = Judge { results };
    for on in ["xfs", "btrfs"] {
        let work = calls::CLONE;
        bars.push(judge.more(work, on, FAST, FICLONE, 25.0));
        bars.push(judge.more(work, on, calls::GUEST_SYNC, FAST, 60.0));
        bars.push(judge.more(work, on, calls::GUEST_ASYNC, FAST, 60.0));
        bars.push(judge.more(work, on, calls::GUEST_BLOCKING, FAST, 60.0));
        bars.push(judge.ratio(CLONE_EXTENTS, on, FAST, &[FICLONE], 1.05));
    }
    bars.push(judge.times(DENSE, "ext4", FAST_DURABLE, CP_SYNC, 1.35));
    for on in ["ext4", "tmpfs"] {
        bars.push(judge.ratio(DENSE, on, FAST, &DENSE_PEERS, 0.9));
    }
    bars.push(judge.times(IMAGE, "ext4", FAST_DURABLE, CP_SYNC, 1.6));
    for on in ["ext4", "tmpfs"] {
        bars.push(judge.ratio(IMAGE, on, FAST, &SPARSE_PEERS, 0.85));
    }
    for (on, bar) in [("ext4", 0.9), ("tmpfs", 1.0), ("xfs", 1.0), ("btrfs", 1.0)] {
        bars.push(judge.ratio(EXTENTS, on, FAST, &NO_SYNC_PEERS, bar));
    }
    // `std::fs::copy` fills the holes.
    bars.push(judge.ratio(EXTENTS, "ext4", FAST, &SPARSE_PEERS, 0.9));
    for on in ["xfs", "btrfs"] {
        bars.push(judge.ratio(EXTENTS, on, SPARSE, &[CP_NEVER, QEMU_IMG, RSYNC], 1.0));
    }
    bars.push(judge.ratio(EXTENTS, "ext4", FAST_DURABLE, &[CP_SYNC], 0.95));
    for on in ["ext4", "xfs", "btrfs", "tmpfs"] {
        bars.push(judge.ratio(TERABYTE, on, FAST, &[PACKED], 1.2));
    }
    for work in [COLD, WARM] {
        for on in ["ext4", "xfs", "btrfs"] {
            // Where a clone would win without a look at the data, the other function is judged.
            let ours = if reflinks(on) { SPARSE } else { FAST };
            bars.push(judge.ratio(work, on, ours, &[QEMU_IMG], 1.0));
        }
    }
    for on in ["ext4", "xfs", "btrfs", "tmpfs"] {
        bars.push(judge.more(calls::SMALL, on, FAST, STD, 30.0));
    }
    bars.push(judge.times(DENSE, "ext4", GUEST_FAST, GUEST_STD, 5.0));
    bars.push(judge.times(IMAGE, "ext4", GUEST_FAST, GUEST_STD, 20.0));
    bars.push(judge.times(IMAGE, "ext4", GUEST_FAST, GUEST_SPLICE, 20.0));
    bars.push(judge.memory(memory::MILLION, 8.0));
    bars
}

/// The fastest of some peers, and its median.
pub fn best<'a>(
    results: &Results,
    work: &str,
    on: &str,
    peers: &[&'a str],
) -> Option<(&'a str, f64)> {
    peers
        .iter()
        .filter_map(|peer| Some((*peer, results.median(work, on, peer)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

struct Judge<'a> {
    results: &'a Results,
}

impl Judge<'_> {
    /// At most `most` times the best of the peers.
    fn ratio(&self, work: &str, on: &str, ours: &str, peers: &[&str], most: f64) -> Bar {
        let found = (|| {
            let (peer, best) = best(self.results, work, on, peers)?;
            Some((self.results.median(work, on, ours)? / best, peer))
        })();
        Bar {
            what: format!("{work}, {on}: {ours}"),
            bar: match peers {
                [one] => format!("at most {most} x {one}"),
                peers if peers == SPARSE_PEERS => {
                    format!("at most {most} x the best peer that keeps the holes")
                }
                _ => format!("at most {most} x the best peer"),
            },
            met: found.as_ref().is_some_and(|(ratio, _)| *ratio <= most),
            measured: found.map(|(ratio, peer)| format!("{ratio:.2} x {peer}")),
        }
    }

    /// At least so many times faster than a peer.
    fn times(&self, work: &str, on: &str, ours: &str, peer: &str, least: f64) -> Bar {
        let found = (|| {
            let peer = self.results.median(work, on, peer)?;
            Some(peer / self.results.median(work, on, ours)?)
        })();
        Bar {
            what: format!("{work}, {on}: {ours}"),
            bar: format!("at least {least} x faster than {peer}"),
            met: found.is_some_and(|times| times >= least),
            measured: found.map(|times| format!("{times:.2} x faster")),
        }
    }

    /// At most so many microseconds more than another.
    fn more(&self, work: &str, on: &str, ours: &str, other: &str, most: f64) -> Bar {
        let found = (|| {
            let other = self.results.median(work, on, other)?;
            Some((self.results.median(work, on, ours)? - other) * 1e6)
        })();
        Bar {
            what: format!("{work}, {on}: {ours}"),
            bar: format!("at most {most} µs more than {other}"),
            met: found.is_some_and(|more| more <= most),
            measured: found.map(|more| format!("{more:.1} µs more")),
        }
    }

    /// At most so many MiB above the idle process.
    fn memory(&self, contender: &str, most: f64) -> Bar {
        let found = self.results.median(memory::WORK, "ext4", contender);
        let found = found.map(|bytes| bytes / 1048576.0);
        Bar {
            what: format!("memory, ext4: {contender}"),
            bar: format!("at most {most} MiB above the idle process"),
            met: found.is_some_and(|mib| mib <= most),
            measured: found.map(|mib| format!("{mib:.2} MiB")),
        }
    }
}
