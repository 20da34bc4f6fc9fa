//! Somebody exchanges a directory and a symbolic link that leads out, as fast as the kernel can, while
//! paths through it are resolved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::fs::{RenameFlags, renameat_with};
use tempfile::TempDir;
use wasmtime_fast_copy::FastCopyCtx;
use wasmtime_fast_copy::p2::bindings::types::{CopyFlags, ErrorCode};

use crate::files::names;
use crate::filesystems::FileSystem;
use crate::times;
use crate::view::View;

/// The sizes of the file inside and of the one outside, in bytes.
const INSIDE: u64 = 1000;
const OUTSIDE: u64 = 7777;

/// `in` is what the guest sees; `in/way` is a directory, and then a link to `out`, and then again a
/// directory.
struct Place {
    dir: TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new(fs: &FileSystem) -> Self {
        let dir = fs.dir();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir_all(inside.join("way")).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink("../out", inside.join("other")).unwrap();
        fs::write(inside.join("way/file"), vec![1; INSIDE as usize]).unwrap();
        fs::write(inside.join("file"), vec![1; INSIDE as usize]).unwrap();
        fs::write(outside.join("file"), vec![2; OUTSIDE as usize]).unwrap();
        Self {
            dir,
            inside,
            outside,
        }
    }

    fn view(&self) -> View {
        View::new(&self.inside, FastCopyCtx::new())
    }

    /// Does the work while the two are exchanged, and returns how often they were.
    fn exchanged_during(&self, work: impl FnOnce()) -> u64 {
        let (stop, exchanges) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let dir = File::open(&self.inside).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(&dir, "way", &dir, "other", RenameFlags::EXCHANGE).unwrap();
                    exchanges.fetch_add(1, Ordering::Relaxed);
                }
            });
            let stopping = StopOnDrop(&stop);
            work();
            drop(stopping);
        });
        exchanges.into_inner()
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts an answer, of which there may only be those of a path that leads nowhere or out.
fn count(answers: &mut BTreeMap<String, u64>, answer: Result<(), ErrorCode>) {
    let answer = match answer {
        Ok(()) => "ok".to_owned(),
        Err(code) => {
            // `..` can't be resolved while somebody renames, and is tried again; the fallback then
            // meets a link, which it doesn't follow.
            assert!(
                matches!(
                    code,
                    ErrorCode::NotPermitted
                        | ErrorCode::Loop
                        | ErrorCode::NoEntry
                        | ErrorCode::NotDirectory
                ),
                "{code:?}"
            );
            format!("{code:?}")
        }
    };
    *answers.entry(answer).or_default() += 1;
}

pub fn no_raced_path_leads_out(fs: &FileSystem) {
    let place = Place::new(fs);
    let mut view = place.view();
    let wanted = times(400_000, 20_000);
    let mut answers = BTreeMap::new();
    let exchanges = place.exchanged_during(|| {
        for i in 0..wanted {
            let path = ["way/file", "other/file", "way/../way/file"][i % 3];
            let usage = view.disk_usage(path);
            if let Ok(usage) = &usage {
                assert_eq!(usage.size, INSIDE, "an escape, at the {i}th resolution");
            }
            count(&mut answers, usage.map(drop).map_err(|error| error.code));
        }
    });
    println!(
        "{}: {wanted} resolutions, {exchanges} exchanges: {answers:?}",
        fs.name
    );
    assert!(answers["ok"] > 0 && answers.len() > 1, "it was no race");
    drop(place.dir);
}

pub fn no_raced_copy_leads_out(fs: &FileSystem) {
    let place = Place::new(fs);
    let mut view = place.view();
    let wanted = times(20_000, 1_000);
    let mut answers = BTreeMap::new();
    let flags = CopyFlags::NO_SYNC | CopyFlags::REPLACE;
    let exchanges = place.exchanged_during(|| {
        for i in 0..wanted {
            let (src, dst) = [
                ("way/file", "copy"),
                ("file", "way/copy"),
                ("other/file", "way/copy"),
            ][i % 3];
            let report = view.fast_copy(src, dst, flags);
            if let Ok(report) = &report {
                assert_eq!(report.size, INSIDE, "an escape, at the {i}th copy");
            }
            count(&mut answers, report.map(drop).map_err(|error| error.code));
        }
    });
    println!(
        "{}: {wanted} copies, {exchanges} exchanges: {answers:?}",
        fs.name
    );
    assert!(answers["ok"] > 0 && answers.len() > 1, "it was no race");
    assert_eq!(names(&place.outside), ["file"]);
    assert_content(&place.outside.join("file"), 2, OUTSIDE);
    assert_content(&place.inside.join("copy"), 1, INSIDE);
}

#[track_caller]
fn assert_content(path: &Path, byte: u8, size: u64) {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut File::open(path).unwrap(), &mut content).unwrap();
    assert_eq!(content, vec![byte; size as usize], "{}", path.display());
}
