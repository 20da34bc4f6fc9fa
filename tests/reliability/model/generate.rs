//! Makes random operations.

use super::blocks::{BLOCK, MOST};
use super::operation::{Copy, Operation, Options, Way};
use super::random::Random;
use super::state::DIRECTORY;

/// The names of files. The first ones are in the root.
const NAMES: [&str; 14] = [
    "a", "b", "c", "d1", "e", "f", "g", "h", "i", "j", "d/a", "d/b", "d/c", "d/e",
];

/// Paths that lead nowhere, to a directory, out of the root, or to a file in a long way.
const ODD_PATHS: [&str; 9] = [
    "",
    "none/a",
    "a/b",
    "../a",
    "d/../a",
    "d",
    "e/",
    "d/../../a",
    "g/a",
];

/// The largest size that a write or a change of the size gives a file.
const LARGE: u64 = MOST / 2;

/// Returns as many random operations.
pub fn operations(seed: u64, count: usize) -> Vec<Operation> {
    let mut random = Random::new(seed);
    (0..count).map(|_| operation(&mut random)).collect()
}

fn operation(random: &mut Random) -> Operation {
    let name = random.one_of(&NAMES).to_string();
    match random.below(1000) {
        0..220 => {
            let (offset, length) = range(random);
            let seed = random.next();
            Operation::Write {
                name,
                offset,
                length,
                seed,
            }
        }
        220..270 => Operation::Resize {
            name,
            size: size(random),
        },
        270..340 => {
            let (offset, length) = range(random);
            Operation::Read {
                name,
                offset,
                length,
            }
        }
        340..400 => Operation::Remove { name },
        400..440 => Operation::Rename {
            from: name,
            to: random.one_of(&NAMES).to_string(),
        },
        440..470 => Operation::Link {
            from: name,
            to: random.one_of(&NAMES).to_string(),
        },
        470..500 => Operation::Symlink {
            target: target(random, &name),
            name,
        },
        500..520 => Operation::DiskUsage { name: path(random) },
        520..540 => Operation::SummarizeExtents { name: path(random) },
        540..570 => Operation::DataRanges {
            name: path(random),
            start: size(random),
        },
        570..575 => Operation::CanReflink,
        575..625 => {
            let (offset, length) = range(random);
            Operation::Punch {
                name,
                offset,
                length,
            }
        }
        625..665 => {
            let (offset, length) = range(random);
            let keep_size = random.chance(50);
            Operation::Allocate {
                name,
                offset,
                length,
                keep_size,
            }
        }
        665..695 => {
            let (offset, length) = range(random);
            let seed = random.next();
            Operation::Store {
                name,
                offset,
                length,
                seed,
            }
        }
        695..700 => Operation::Sync { name },
        700..715 => {
            let modes = [0o600, 0o644, 0o755, 0o400, 0o4750, 0o666];
            Operation::SetMode {
                name,
                mode: random.one_of(&modes),
            }
        }
        715..718 => Operation::Fifo { name },
        _ => Operation::Copy(copies(random)),
    }
}

/// Returns one copy, or several with different destinations, or several with the same one.
fn copies(random: &mut Random) -> Vec<Copy> {
    let count = match random.below(10) {
        0..7 => 1,
        _ => 2 + random.below(3) as usize,
    };
    let mut copies: Vec<Copy> = Vec::new();
    let race = random.chance(20);
    for _ in 0..count {
        let mut one = copy(random);
        if race && let Some(first) = copies.first() {
            one.dst = first.dst.clone();
            one.options.replace = first.options.replace;
        } else if copies.iter().any(|other| other.dst == one.dst) {
            continue;
        }
        if race && count > 1 && matches!(one.way, Way::Cancel(_) | Way::Drop(_)) {
            one.way = Way::Job;
        }
        copies.push(one);
    }
    copies
}

fn copy(random: &mut Random) -> Copy {
    let way = match random.below(20) {
        0..9 => Way::Call,
        9..12 => Way::Job,
        12..15 => Way::Progress,
        15..18 => Way::Cancel(random.below(60)),
        _ => Way::Drop(random.below(60)),
    };
    let options = Options {
        replace: random.chance(65),
        symlink_follow: random.chance(40),
        require_reflink: random.chance(7),
        dig_holes: random.chance(20),
        durable: random.chance(2),
        preserve_times: random.chance(25),
        size: match random.below(40) {
            0 => Some(u64::MAX >> random.below(20)),
            1..6 => Some(size(random) * 2),
            _ => None,
        },
    };
    Copy {
        way,
        sparse: random.chance(50),
        src: path(random),
        dst: path(random),
        options,
    }
}

fn path(random: &mut Random) -> String {
    match random.below(40) {
        0 => random.one_of(&ODD_PATHS).to_string(),
        _ => random.one_of(&NAMES).to_string(),
    }
}

/// Returns what a symbolic link leads to.
fn target(random: &mut Random, link: &str) -> String {
    let name = random.one_of(&NAMES);
    let up = if link.starts_with("d/") { "../" } else { "" };
    match random.below(16) {
        0 => "none".to_owned(),
        1 => format!("{up}{DIRECTORY}"),
        2 => "/etc/passwd".to_owned(),
        3 => "../../out".to_owned(),
        _ => format!("{up}{name}"),
    }
}

/// Returns the offset and the length of a range. Small ones and whole blocks are frequent.
fn range(random: &mut Random) -> (u64, u64) {
    let offset = size(random);
    let length = match random.below(4) {
        0 => 1 + random.below(100),
        1 => BLOCK * (1 + random.below(8)),
        2 => 1 + random.below(8 * BLOCK),
        _ => 1 + random.below(64 * 1024),
    };
    (offset, length.min(LARGE - offset).max(1))
}

fn size(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(2 * BLOCK),
        1 => BLOCK * random.below(16),
        2 => random.below(16 * BLOCK),
        _ => random.below(LARGE),
    }
}
