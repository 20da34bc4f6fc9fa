//! The bars: required figures, and whether the engine meets them.

use fast_copy_test_support::files::{KIB, MIB};
use fast_copy_test_support::filesystems::reflinks;

use crate::contenders::{
    FAST, FAST_DURABLE, FICLONE, GUEST_FAST, GUEST_SPLICE, GUEST_STD, PACKED, QEMU_IMG, SPARSE, STD,
};
use crate::peers::{Against, peer};
use crate::results::{Results, Row};
use crate::whole_files::{CLONE_EXTENTS, DENSE, EXTENTS, IMAGE, PREALLOCATED, TERABYTE, WRITTEN};
use crate::{clones, memory, small_files};

/// A bar, and what was measured.
pub struct Bar {
    pub what: String,
    /// The requirement, in words.
    pub bar: String,
    /// `None` if a contender is missing.
    pub measured: Option<Measured>,
}

pub struct Measured {
    pub words: String,
    /// The least and the most of the rounds; empty if there is one figure only.
    pub spread: String,
    pub met: bool,
}

pub fn all(results: &Results) -> Vec<Bar> {
    use Against::{Best, BestSparse, One};
    let mut bars = Vec::new();
    let judge = Judge { results };
    for on in ["xfs", "btrfs"] {
        let place = (clones::WORK, on);
        bars.push(judge.more(place, FAST, FICLONE, 25.0));
        for guest in [
            clones::GUEST_SYNC,
            clones::GUEST_ASYNC,
            clones::GUEST_BLOCKING,
        ] {
            bars.push(judge.more(place, guest, FAST, 60.0));
            let [guest, native] = [guest, FAST].map(clones::first_calls);
            bars.push(judge.more(place, &guest, &native, 60.0));
        }
        bars.push(judge.ratio((CLONE_EXTENTS, on), FAST, One(FICLONE), 1.05));
    }
    bars.push(judge.times((DENSE, "ext4"), FAST_DURABLE, Best, 1.35));
    for on in ["ext4", "tmpfs"] {
        bars.push(judge.ratio((DENSE, on), FAST, Best, 0.9));
    }
    bars.push(judge.times((IMAGE, "ext4"), FAST_DURABLE, Best, 1.6));
    for on in ["ext4", "tmpfs"] {
        bars.push(judge.ratio((IMAGE, on), FAST, BestSparse, 0.85));
    }
    for (on, bar) in [("ext4", 0.9), ("tmpfs", 1.0), ("xfs", 1.0), ("btrfs", 1.0)] {
        bars.push(judge.ratio((EXTENTS, on), FAST, Best, bar));
    }
    // `std::fs::copy` fills the holes.
    bars.push(judge.ratio((EXTENTS, "ext4"), FAST, BestSparse, 0.9));
    for on in ["xfs", "btrfs"] {
        bars.push(judge.ratio((EXTENTS, on), SPARSE, Best, 1.0));
    }
    bars.push(judge.ratio((EXTENTS, "ext4"), FAST_DURABLE, Best, 0.95));
    for on in ["ext4", "xfs", "btrfs", "tmpfs"] {
        bars.push(judge.ratio((TERABYTE, on), FAST, One(PACKED), 1.2));
    }
    for (work, places) in PREALLOCATED {
        for &on in places {
            // Where fast_copy would clone without reading the data, sparse_copy is judged.
            let ours = if reflinks(on) { SPARSE } else { FAST };
            bars.push(judge.ratio((work, on), ours, One(QEMU_IMG), 1.0));
            bars.push(judge.allocated((work, on), ours, WRITTEN));
        }
    }
    for on in ["ext4", "xfs", "btrfs", "tmpfs"] {
        bars.push(judge.more((small_files::WORK, on), FAST, STD, 30.0));
    }
    bars.push(judge.times((DENSE, "ext4"), GUEST_FAST, One(GUEST_STD), 5.0));
    bars.push(judge.times((IMAGE, "ext4"), GUEST_FAST, One(GUEST_STD), 20.0));
    bars.push(judge.times((IMAGE, "ext4"), GUEST_FAST, One(GUEST_SPLICE), 20.0));
    for (on, contender, input) in memory::rows() {
        bars.push(judge.memory(on, &memory::name(contender, input), 8.0));
    }
    bars
}

struct Judge<'a> {
    results: &'a Results,
}

type Place<'a> = (&'a str, &'a str);

impl<'a> Judge<'a> {
    /// Requires at most `most` times the time of a peer.
    fn ratio(&self, place: Place<'_>, ours: &str, against: Against<'_>, most: f64) -> Bar {
        let found = self.found(place, ours, against);
        Bar {
            what: what(place, ours),
            bar: format!("at most {most} x {}", in_words(against, ours)),
            measured: found.map(|(ours, peer)| {
                let ratio = |ours: f64, peer: f64| ours / peer;
                Measured {
                    words: format!(
                        "{:.2} x {}",
                        ratio(ours.median(), peer.median()),
                        peer.contender
                    ),
                    spread: spread(ours, peer, ratio, 2),
                    met: ratio(ours.median(), peer.median()) <= most,
                }
            }),
        }
    }

    /// Requires at least `least` times the speed of a peer.
    fn times(&self, place: Place<'_>, ours: &str, against: Against<'_>, least: f64) -> Bar {
        let found = self.found(place, ours, against);
        Bar {
            what: what(place, ours),
            bar: format!("at least {least} x faster than {}", in_words(against, ours)),
            measured: found.map(|(ours, peer)| {
                let times = |ours: f64, peer: f64| peer / ours;
                Measured {
                    words: format!(
                        "{:.2} x faster than {}",
                        times(ours.median(), peer.median()),
                        peer.contender
                    ),
                    spread: spread(ours, peer, times, 2),
                    met: times(ours.median(), peer.median()) >= least,
                }
            }),
        }
    }

    /// Requires at most `most` microseconds more than another contender.
    fn more(&self, place: Place<'_>, ours: &str, other: &str, most: f64) -> Bar {
        let found = self.found(place, ours, Against::One(other));
        Bar {
            what: what(place, ours),
            bar: format!("at most {most} µs more than {other}"),
            measured: found.map(|(ours, other)| {
                let more = |ours: f64, other: f64| (ours - other) * 1e6;
                Measured {
                    words: format!("{:.1} µs more", more(ours.median(), other.median())),
                    spread: spread(ours, other, more, 1),
                    met: more(ours.median(), other.median()) <= most,
                }
            }),
        }
    }

    /// Requires at most `most` bytes allocated, and 64 KiB for the file system's metadata.
    fn allocated(&self, (work, on): Place<'_>, ours: &str, most: u64) -> Bar {
        let row = self.results.row(work, on, ours);
        Bar {
            what: what((work, on), ours),
            bar: format!("{} MiB allocated", most / MIB),
            measured: row.and_then(|row| row.allocated).map(|taken| Measured {
                words: format!("{:.2} MiB", taken as f64 / MIB as f64),
                spread: String::new(),
                met: taken <= most + 64 * KIB,
            }),
        }
    }

    /// Requires at most `most` MiB above the idle process.
    fn memory(&self, on: &str, contender: &str, most: f64) -> Bar {
        let found = self.results.median(memory::WORK, on, contender);
        Bar {
            what: what((memory::WORK, on), contender),
            bar: format!("at most {most} MiB above the idle process"),
            measured: found.map(|bytes| bytes / MIB as f64).map(|mib| Measured {
                words: format!("{mib:.2} MiB"),
                spread: String::new(),
                met: mib <= most,
            }),
        }
    }

    fn found(
        &self,
        place: Place<'_>,
        ours: &str,
        against: Against<'_>,
    ) -> Option<(&'a Row, &'a Row)> {
        let peer = peer(self.results, place, ours, against)?;
        Some((self.results.row(place.0, place.1, ours)?, peer.row))
    }
}

fn what((work, on): Place<'_>, ours: &str) -> String {
    format!("{work}, {on}: {ours}")
}

fn in_words(against: Against<'_>, ours: &str) -> String {
    let peer = match against {
        Against::One(name) => return name.to_owned(),
        Against::Best => "the best peer",
        Against::BestSparse => "the best peer that keeps the holes",
    };
    match ours {
        FAST_DURABLE => format!("{peer} that waits for the disk"),
        SPARSE => format!("{peer} that shares nothing"),
        _ => peer.to_owned(),
    }
}

/// Formats the least and the most of the figures of the rounds.
fn spread(ours: &Row, peer: &Row, of: impl Fn(f64, f64) -> f64, digits: usize) -> String {
    let mut rounds: Vec<f64> = ours
        .rounds()
        .into_iter()
        .zip(peer.rounds())
        .map(|(ours, peer)| of(ours, peer))
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
    format!("{least:.digits$} to {most:.digits$}")
}
