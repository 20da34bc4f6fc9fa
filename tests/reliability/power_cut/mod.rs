//! A power cut at every flush: each state of the disk that a power cut during or after a copy can leave has the old
//! file, or none, or the complete copy.
//!
//! A disk records each write and each flush of a copy. What was written before a flush is on the disk after it;
//! what was written since may be, in any order. The states are made from the log, and mounted, which lets the file
//! system recover.

mod broken;
mod cases;
mod check;
mod contents;
mod log;
mod recorded_disk;
mod recording;
mod replay;
mod scratch_disk;
mod tally;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fast_copy_test_support::figures;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::scale::scaled;

use self::broken::SEQUENCES;
use self::cases::{Case, Destination, Source};
use self::check::Rules;
use self::contents::Contents;
use self::recording::Recording;
use self::replay::Thoroughness;
use self::scratch_disk::ScratchDisk;
use self::tally::Tally;

fast_copy_test_support::tests![
    each_state_that_a_power_cut_can_leave_has_the_old_file_or_the_copy where Small and Disk,
    a_copy_with_an_fsync_that_does_nothing_is_found where Small and Disk,
    a_sequence_without_a_needed_fsync_is_found where Small and Disk,
];

/// The kind of these tests.
const KIND: &str = "power-cut";

/// The size of a disk. mkfs makes ext4 with blocks of 4 KiB from this size on.
const SIZE: u64 = 512 << 20;

/// A test has two loop devices, and a machine may have as few as eight.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn disk(fs: &FileSystem) -> (ScratchDisk, Contents) {
    ScratchDisk::new(fs.name, SIZE, cases::prepare)
}

fn thoroughness() -> Thoroughness {
    Thoroughness {
        prefixes: scaled(1, 0) == 1,
        random: scaled(8, 1) as u64,
    }
}

fn each_state_that_a_power_cut_can_leave_has_the_old_file_or_the_copy(fs: &FileSystem) {
    let _turn = turn();
    let disk = disk(fs);
    let cases = match scaled(1, 0) {
        1 => Case::all(fs),
        _ => Case::some(fs),
    };
    let mut violations = Vec::new();
    for (name, durable, replaces) in [
        ("durable", true, None),
        ("not durable, new", false, Some(false)),
        ("not durable, replacing", false, Some(true)),
    ] {
        let is_one = |case: &&Case| {
            let replaces = replaces.unwrap_or(case.replaces());
            (case.durable, case.replaces()) == (durable, replaces)
        };
        let mut tally = Tally {
            keeps_images: true,
            ..Tally::default()
        };
        for case in cases.iter().filter(is_one) {
            check(fs, &disk, case, &[], &mut tally);
        }
        figures::record(KIND, &format!("{}, {name}", fs.name), &tally.figures());
        violations.extend(tally.described);
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Records a copy, with more injections, and checks every state.
fn check(
    fs: &FileSystem,
    (scratch, contents): &(ScratchDisk, Contents),
    case: &Case,
    injections: &[&str],
    tally: &mut Tally,
) {
    let own = case.injections(fs);
    let injections: Vec<_> = own
        .iter()
        .map(String::as_str)
        .chain(injections.iter().copied())
        .collect();
    let destination = case.destination;
    let (recording, content) = Recording::make(scratch, contents, destination.name(), |dir| {
        case.run(dir, &injections)
    });
    let rules = Rules {
        destination,
        source: case.source,
        content,
        may_leave_a_name: case.may_leave_a_name(fs),
    };
    tally.add(
        &case.to_string(),
        case.durable,
        (scratch, contents),
        (&recording, &rules),
        &thoroughness(),
    );
}

/// The harness finds the state: the calls are those of the engine, but one fsync does nothing.
fn a_copy_with_an_fsync_that_does_nothing_is_found(fs: &FileSystem) {
    let _turn = turn();
    let disk = disk(fs);
    let case = Case::read_and_written(fs);
    let fsyncs = [
        ("fsync of the file does nothing", "fsync:retval=0:when=1"),
        (
            "fsync of the directory does nothing",
            "fsync:retval=0:when=2",
        ),
    ];
    for (name, injection) in fsyncs {
        let mut tally = Tally::default();
        check(fs, &disk, &case, &[injection], &mut tally);
        assert_found(fs, name, &tally);
    }
}

/// The harness finds the states that a wrong sequence of calls can leave.
fn a_sequence_without_a_needed_fsync_is_found(fs: &FileSystem) {
    let _turn = turn();
    let (scratch, contents) = disk(fs);
    for sequence in &SEQUENCES {
        let destination = Destination::Absent;
        let (recording, content) =
            Recording::make(&scratch, &contents, destination.name(), |dir| {
                let content = fs::read(dir.join("src")).unwrap();
                (sequence.run)(dir, &content);
                content
            });
        let rules = Rules {
            destination,
            source: Source::OnDisk,
            content,
            may_leave_a_name: true,
        };
        let mut tally = Tally::default();
        tally.add(
            sequence.name,
            true,
            (&scratch, &contents),
            (&recording, &rules),
            &thoroughness(),
        );
        assert_found(fs, sequence.name, &tally);
    }
}

fn assert_found(fs: &FileSystem, name: &str, tally: &Tally) {
    let figures = [
        ("copies", tally.cases),
        ("flushes", tally.flushes),
        ("states", tally.states),
        ("states found wrong", tally.violations),
    ];
    figures::record(KIND, &format!("{}, {name}", fs.name), &figures);
    assert!(tally.violations > 0, "{name}");
}
