//! The target `calls`: sequences of calls of a guest, beside a model of its directory.
//!
//! Before each call the model says with which errors it may fail. Afterwards the directory must be as the model says:
//! with a complete copy, or unchanged. Nothing outside of it is touched, the quota is charged for what was copied, and
//! no call panics.

mod decode;
mod disk;
mod expected;
mod input;
mod model;
mod store;

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyNotes, CopyReport, ErrorCode};

use self::disk::Disk;
use self::expected::{Allowed, copied};
use self::input::{Base, Copy, Step, Way};
use self::model::Model;
use self::store::Store;

/// The most steps of an input.
const MOST_STEPS: usize = 24;

/// Runs the target.
pub fn run(dir: &Path, data: &[u8]) {
    let mut data = Unstructured::new(data);
    let mut run = Run::new(dir);
    for _ in 0..MOST_STEPS {
        if data.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut data) else {
            break;
        };
        run.step(&step);
        if let Some(difference) = run.disk.difference(&run.model) {
            panic!("after {step:?}: {difference}");
        }
        run.check_quota();
    }
    run.disk.check_outside();
    run.store.close();
    assert_eq!(run.disk.open_files(), 0, "open files are left");
}

struct Run {
    disk: Disk,
    model: Model,
    store: Store,
    used: u64,
}

impl Run {
    fn new(dir: &Path) -> Self {
        let (disk, model) = Disk::new(dir);
        let store = Store::new(&disk);
        Self {
            disk,
            model,
            store,
            used: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Copy(copy) => self.copy(copy),
            Step::DiskUsage(at) => {
                let answer = self.store.disk_usage(at);
                let Some((usage, content)) = self.inspected(at, answer, &[]) else {
                    return;
                };
                assert_eq!(usage.size, content.len() as u64);
            }
            Step::SummarizeExtents(at) => {
                let answer = self.store.summarize_extents(at);
                // tmpfs has no block map.
                self.inspected(at, answer, &[ErrorCode::Unsupported]);
            }
            Step::DataRanges(at, start) => {
                let answer = self.store.data_ranges(at, (*start).into());
                let Some((ranges, content)) = self.inspected(at, answer, &[]) else {
                    return;
                };
                let mut end = usize::from(*start);
                for range in ranges {
                    let (from, length) = (range.offset as usize, range.length as usize);
                    assert!(from >= end && length > 0 && from + length <= content.len());
                    assert!(
                        content[end..from].iter().all(|&byte| byte == 0),
                        "data in a hole"
                    );
                    end = from + length;
                }
                let rest = content.get(end..).unwrap_or_default();
                assert!(rest.iter().all(|&byte| byte == 0), "data in the last hole");
            }
            Step::CanReflink(src, dst) => {
                let mut allowed = Allowed::default();
                allowed.add(expected::directory(*src).err());
                allowed.add(expected::writable_directory(*dst).err());
                let answer = self.store.can_reflink(*src, *dst);
                allowed.check([*src, *dst].contains(&Base::Unknown), answer);
            }
            Step::Write(changed, written) => {
                let name = changed.name();
                self.disk.write(&mut self.model, name, written.content());
            }
            Step::Remove(changed) => self.disk.remove(&mut self.model, changed.name()),
            Step::Link(changed, name) => {
                self.disk
                    .link(&mut self.model, changed.name(), name.target());
            }
            Step::HardLink(old, new) => {
                self.disk.hard_link(&mut self.model, old.name(), new.name());
            }
            Step::Quota(more) => {
                let quota = self.store.quota();
                quota.set_limit(match more {
                    Some(more) => self.used + u64::from(*more),
                    None => u64::MAX,
                });
            }
        }
    }

    /// Checks the answer of a function that looks at a file. Returns it with the content of the file.
    fn inspected<T>(
        &self,
        at: &input::At,
        answer: wasmtime::Result<Result<T, ErrorCode>>,
        also: &[ErrorCode],
    ) -> Option<(T, &[u8])> {
        let file = expected::source(&self.model, at, false);
        let mut allowed = Allowed::default();
        allowed.add(file.as_ref().err().cloned());
        also.iter().for_each(|code| allowed.also(code.clone()));
        let answer = allowed.check(at.base == Base::Unknown, answer)?;
        Some((answer, &self.model.content(&file.ok()?)?.bytes))
    }

    fn copy(&mut self, copy: &Copy) {
        let (allowed, after) = expected::copy(&self.model, copy, self.room());
        let is_unknown = [copy.src.base, copy.dst.base].contains(&Base::Unknown);
        let answer = match copy.way {
            Way::Call => self.store.copy(copy),
            Way::Job | Way::CancelledJob => self.store.job(copy, copy.way == Way::CancelledJob),
            Way::DroppedJob => return self.dropped_job(copy, is_unknown, after),
        };
        let answer = answer.map(|copied| copied.map_err(|CopyError { code, .. }| code));
        let Some(report) = allowed.check(is_unknown, answer) else {
            return;
        };
        let after = after.expect("a copy that must fail has succeeded");
        self.check_report(copy, &report, &after);
        self.used += report.allocated.max(report.copied);
        let quota = self.store.quota();
        assert!(
            self.used <= quota.limit(),
            "more is used than the quota allows"
        );
        self.model = after;
    }

    /// Drops a job at once. It has published its copy, or nothing has changed.
    fn dropped_job(&mut self, copy: &Copy, is_unknown: bool, after: Option<Model>) {
        let started = self.store.dropped_job(copy);
        assert_eq!(started.is_err(), is_unknown, "{started:?}");
        match after {
            Some(after) if self.disk.difference(&self.model).is_some() => self.model = after,
            // What replaces a file with the same content makes no difference.
            Some(_) => {}
            None => assert_eq!(
                self.store.quota().used(),
                self.used,
                "a failed copy is charged"
            ),
        }
        self.used = self.store.quota().used();
    }

    fn check_report(&self, copy: &Copy, report: &CopyReport, after: &Model) {
        let name = expected::destination(&self.model, &copy.dst).unwrap();
        let size = after.content(&name).unwrap().bytes.len() as u64;
        assert_eq!(report.size, size);
        assert!(report.copied <= size);
        assert_eq!(report.durable, !copy.wanted.not_durable);
        assert_eq!(report.notes, CopyNotes::empty());
        if copy.wanted.preserve_times {
            let source = copied(&self.model, copy).unwrap();
            // The copy may have replaced this name of its source.
            if source != name {
                let modified = |name: &str| fs::metadata(self.disk.at(name)).unwrap().modified();
                assert_eq!(modified(&source).unwrap(), modified(&name).unwrap());
            }
        }
    }

    /// Returns how much the quota has left.
    fn room(&self) -> u64 {
        let quota = self.store.quota();
        quota.limit().saturating_sub(quota.used())
    }

    fn check_quota(&self) {
        let quota = self.store.quota();
        assert_eq!(quota.used(), self.used, "the charge");
        assert_eq!(quota.reserved(), 0, "reserved by no copy");
    }
}
