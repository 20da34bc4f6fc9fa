//! Many guests copy one base image at once. Each copy is a file system that `e2fsck` finds no fault in.

mod check;
mod crowd;
mod image;
mod stress;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fast_copy_test_support::figures::record;
use fast_copy_test_support::files::{MIB, names};
use fast_copy_test_support::filesystems::{FileSystem, Small};
use fast_copy_test_support::scale::scaled;

use crowd::{BASE, CLONES, Crowd, Ended};
use image::Image;
use stress::{Stress, StressOnBase};

fast_copy_test_support::tests![
    each_clone_of_a_crowd_passes_e2fsck where Disk,
    each_clone_beside_random_operations_passes_e2fsck where Disk and Small,
    a_crowd_copies_a_base_that_random_operations_change where Disk and Small,
];

const KIND: &str = "crowds";

/// What a row of the report counts.
#[derive(Default)]
struct Figures {
    rounds: u64,
    guests: u64,
    clones: u64,
    source_changed: u64,
    checked: u64,
    operations: u64,
    file_systems: u64,
    violations: Vec<String>,
}

impl Figures {
    /// Records the figures, and fails the test if there are violations.
    fn conclude(self, row: &str) {
        let figures = [
            ("rounds", self.rounds),
            ("guests", self.guests),
            ("clones", self.clones),
            ("source changed", self.source_changed),
            ("checked by e2fsck", self.checked),
            ("operations beside", self.operations),
            ("file systems checked", self.file_systems),
            ("violations", self.violations.len() as u64),
        ];
        record(KIND, row, &figures);
        assert!(
            self.violations.is_empty(),
            "{row}: {}",
            self.violations.join("\n")
        );
    }

    fn add(&mut self, ended: Ended) {
        self.rounds += 1;
        self.guests += ended.guests;
        self.clones += ended.copied.len() as u64;
        self.source_changed += ended.source_changed;
        self.violations.extend(ended.violations);
    }

    /// Checks that each clone has the content of the image, and that `e2fsck` finds no fault in it.
    fn check_clones(&mut self, crowd: &Crowd, ended: &Ended, image: &Image) {
        for clone in &ended.copied {
            let path = crowd.dir.join(CLONES).join(clone);
            if !image.is_same(&path) {
                self.violations
                    .push(format!("{clone} is not the same as its base"));
            }
            match check::check("ext4", &path) {
                Ok(()) => self.checked += 1,
                Err(faults) => self.violations.push(format!("{clone}: {faults}")),
            }
        }
    }
}

fn each_clone_of_a_crowd_passes_e2fsck(fs: &FileSystem) {
    let mut figures = Figures::default();
    for round in 0..scaled(50, 1) as u64 {
        let dir = fs.dir();
        let image = Image::new(round);
        let crowd = Crowd::new(dir.path(), scaled(100, 24));
        image.write(&dir.path().join(BASE));
        let ended = crowd.copy();
        figures.check_clones(&crowd, &ended, &image);
        figures.add(ended);
    }
    figures.conclude(&format!("{}, alone", fs.name));
}

fn each_clone_beside_random_operations_passes_e2fsck(fs: &FileSystem) {
    beside_random_operations(fs, false);
}

fn a_crowd_copies_a_base_that_random_operations_change(fs: &FileSystem) {
    beside_random_operations(fs, true);
}

/// Lets a crowd copy while three threads make random operations in the directories of the source and the
/// copies, and if `on_base` a fourth on the base. Then checks the file system.
fn beside_random_operations(fs: &FileSystem, on_base: bool) {
    let figures = Mutex::new(Figures::default());
    for round in 0..scaled(10, 1) as u64 {
        let small = Small::new(fs.name, 600 * MIB);
        let image = Image::new(round);
        let crowd = Crowd::new(&small.root, scaled(32, 12));
        image.write(&small.root.join(BASE));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stop_at_end = StopWhenDropped(&stop);
            for number in 0..3 {
                let mut stress = Stress::new(&small.root, 100 * round + number);
                let (figures, stop) = (&figures, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        stress.step();
                    }
                    figures.lock().unwrap().operations += stress.operations;
                });
            }
            if on_base {
                let mut stress = StressOnBase::new(&small.root.join(BASE), round);
                let (figures, stop) = (&figures, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        stress.step();
                    }
                    figures.lock().unwrap().operations += stress.operations;
                });
            }
            let ended = crowd.copy();
            drop(stop_at_end);
            let mut figures = figures.lock().unwrap();
            if !on_base {
                if ended.source_changed > 0 {
                    let changed = ended.source_changed;
                    figures
                        .violations
                        .push(format!("{changed} x source-changed of a quiet base"));
                }
                figures.check_clones(&crowd, &ended, &image);
            }
            figures.add(ended);
        });
        let mut figures = figures.lock().unwrap();
        let left = names(&small.root.join(CLONES)).into_iter();
        let left: Vec<_> = left
            .filter(|name| name.starts_with(".fast-copy-"))
            .collect();
        if !left.is_empty() {
            figures.violations.push(format!("{left:?} are left"));
        }
        match check::unmount_and_check(&small, fs.name) {
            Ok(()) => figures.file_systems += 1,
            Err(faults) => figures.violations.push(faults),
        }
    }
    let what = if on_base {
        "operations on the base"
    } else {
        "operations beside the base"
    };
    figures
        .into_inner()
        .unwrap()
        .conclude(&format!("{}, {what}", fs.name));
}

/// Stops the threads, also if the test fails.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
