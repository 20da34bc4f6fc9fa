//! Compares copies that run at the same time with the model.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fast_copy_test_support::files::allocated;
use std::os::unix::fs::MetadataExt;

use super::driver::{Counts, Place};
use super::operation::{Copy, Way};
use super::predict::{Expected, Prediction, predict};
use super::state::{Entry, State};
use super::verify::{self, Report, Times};

/// The state before copies that run at the same time.
pub struct Before {
    copies: Vec<One>,
    /// Whether all have the same destination.
    race: bool,
    used: u64,
}

struct One {
    copy: Copy,
    prediction: Prediction,
    /// The inode number of the destination.
    inode: Option<u64>,
    times: Option<Times>,
    /// The most bytes that may be allocated for the copy.
    most: u64,
}

/// How a copy ended.
enum End {
    Copied(Report),
    /// A copy that was dropped, and is published all the same.
    Published,
    Failed,
}

/// Predicts the results. Returns none if they depend on which copy is first.
pub fn begin(state: &State, place: &Place, copies: Vec<Copy>) -> Option<Before> {
    let copies: Vec<One> = copies
        .into_iter()
        .map(|copy| {
            let prediction = predict(state, &copy, &place.kind, place.reflinks);
            let path = |key: &Option<String>| key.as_ref().map(|key| place.root.join(key));
            let (src, dst) = (path(&prediction.src), path(&prediction.dst));
            let most = prediction.copy.as_ref().zip(src.as_ref());
            let most = most.map(|(expected, src)| {
                verify::most_allocated(expected, &place.kind, allocated(src))
            });
            One {
                inode: dst.and_then(|dst| inode(&dst)),
                times: src
                    .filter(|_| prediction.has_source)
                    .and_then(|src| verify::times(&src)),
                most: most.unwrap_or(0),
                copy,
                prediction,
            }
        })
        .collect();
    let race = race(state, &copies)?;
    Some(Before {
        copies,
        race,
        used: place.quota.used(),
    })
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

/// Returns whether all copies have the same destination. Returns none if a copy could change what another one
/// reads, or if only some have the same destination.
fn race(state: &State, copies: &[One]) -> Option<bool> {
    let dsts: Vec<_> = copies
        .iter()
        .filter_map(|one| one.prediction.dst.as_ref())
        .collect();
    let different: BTreeSet<_> = dsts.iter().collect();
    let race = copies.len() > 1 && dsts.len() == copies.len() && different.len() == 1;
    if !race && different.len() < dsts.len() {
        return None;
    }
    if race {
        let options = |one: &One| one.copy.options.replace;
        let mixed = copies.iter().any(|one| options(one) != options(&copies[0]));
        let link = matches!(state.entry(dsts[0]), Some(Entry::Symlink(_)));
        let stopped = copies
            .iter()
            .any(|one| matches!(one.copy.way, Way::Cancel(_) | Way::Drop(_)));
        if mixed || link || stopped {
            return None;
        }
    }
    for (i, changing) in copies.iter().enumerate() {
        let Some(dst) = &changing.prediction.dst else {
            continue;
        };
        for (j, reading) in copies.iter().enumerate() {
            let Prediction { src, seen, .. } = &reading.prediction;
            let same_file = state.id(dst).is_some()
                && state.id(dst) == src.as_ref().and_then(|src| state.id(src));
            if i != j && (src.as_ref() == Some(dst) || seen.contains(dst) || same_file) {
                return None;
            }
        }
    }
    Some(race)
}

impl Before {
    /// Whether work can go on after the answer.
    pub fn may_go_on(&self) -> bool {
        self.copies
            .iter()
            .any(|one| matches!(one.copy.way, Way::Cancel(_) | Way::Drop(_)))
    }

    /// Compares the answer and the directory with the model.
    pub fn finish(
        self,
        state: &mut State,
        place: &Place,
        counts: &mut Counts,
        answer: &str,
    ) -> Result<(), String> {
        let answers: Vec<&str> = answer.split(" & ").collect();
        if answers.len() != self.copies.len() {
            return Err(format!("the answer {answer:?} is incomplete"));
        }
        let (mut charged, mut at_most) = (0, 0);
        let mut published = Vec::new();
        for (one, answer) in self.copies.iter().zip(answers) {
            counts.jobs += u64::from(one.copy.way != Way::Call);
            match one.check(place, counts, answer, &self)? {
                End::Copied(report) => {
                    counts.copies += 1;
                    counts.clones += u64::from(report.is_clone);
                    charged += report.charge();
                    published.push(one);
                }
                End::Published => {
                    at_most += one.most;
                    published.push(one);
                }
                End::Failed => {}
            }
        }
        let used = place.quota.used() - self.used;
        if !(charged..=charged + at_most).contains(&used) || place.quota.reserved() != 0 {
            return Err(format!(
                "{used} bytes are charged and {} reserved, expected {charged} and at most {at_most} more",
                place.quota.reserved()
            ));
        }
        self.publish(state, place, &published)?;
        for one in &self.copies {
            let Prediction { src, dst, .. } = &one.prediction;
            for key in [src, dst].into_iter().flatten() {
                verify::name(&place.root, state, key)?;
            }
        }
        verify::names(&place.root, state)
    }

    /// Puts the published copies into the model.
    fn publish(&self, state: &mut State, place: &Place, published: &[&One]) -> Result<(), String> {
        for one in published {
            let (_, expected) = one.expected();
            if let Some(src) = &one.prediction.src
                && let Some(source) = state.file_named_mut(src)
            {
                source.cloned |= expected.is_clone;
            }
        }
        if !self.race {
            for one in published {
                let (dst, expected) = one.expected();
                state.put(dst, expected.file.clone());
            }
            return Ok(());
        }
        let replace = self.copies[0].copy.options.replace;
        let possible = self
            .copies
            .iter()
            .filter(|one| one.prediction.causes.is_empty());
        let expected = match replace {
            true => possible.count(),
            false => possible.count().min(1),
        };
        if published.len() != expected {
            return Err(format!(
                "{} copies are published, expected {expected}",
                published.len()
            ));
        }
        let Some(first) = published.first() else {
            return Ok(());
        };
        let (dst, _) = first.expected();
        let bytes = fs::read(place.root.join(dst)).map_err(|error| error.to_string())?;
        let mode = fs::metadata(place.root.join(dst))
            .map_err(|error| error.to_string())?
            .mode()
            & 0o7777;
        let last = published.iter().map(|one| &one.expected().1.file);
        let last = last
            .filter(|file| file.mode == mode)
            .find(|file| *file.bytes == bytes);
        let last = last.ok_or("the destination is none of the copies")?;
        state.put(dst, last.clone());
        // A copy with fewer bytes that were written can have the same content.
        let all = published.iter().map(|one| one.expected().1.file.clone());
        let same: Vec<_> = all.filter(|file| *file.bytes == bytes).collect();
        let file = state.file_named_mut(dst).expect("the copy");
        for other in same {
            file.or(&other);
        }
        Ok(())
    }
}

impl One {
    /// Returns the name and the file of a copy that can succeed.
    fn expected(&self) -> (&str, &Expected) {
        let Prediction { dst, copy, .. } = &self.prediction;
        let both = dst.as_deref().zip(copy.as_ref());
        both.expect("a copy that can succeed has a destination")
    }

    /// Compares one answer with the prediction.
    fn check(
        &self,
        place: &Place,
        counts: &mut Counts,
        answer: &str,
        among: &Before,
    ) -> Result<End, String> {
        let causes = &self.prediction.causes;
        if answer == "dropped" {
            counts.cancelled += 1;
            return self.dropped(place);
        }
        if let Some(code) = answer.strip_prefix("err ErrorCode::") {
            let stopped = matches!(self.copy.way, Way::Cancel(_)) && code == "Cancelled";
            let late = among.race && !self.copy.options.replace && code == "Exist";
            if stopped {
                counts.cancelled += 1;
            } else if causes.contains(code) || late {
                counts.errors += 1;
            } else {
                return Err(format!("{}: {code}, expected one of {causes:?}", self.copy));
            }
            return Ok(End::Failed);
        }
        let report = answer.strip_prefix("ok ").and_then(Report::parse);
        let report = report.ok_or_else(|| format!("the answer is {answer:?}"))?;
        if !causes.is_empty() {
            return Err(format!(
                "{}: it succeeds, expected one of {causes:?}",
                self.copy
            ));
        }
        let (dst, expected) = self.expected();
        report
            .check(&self.copy, expected, self.most)
            .map_err(|wrong| format!("{}: {wrong}", self.copy))?;
        if !among.race {
            let path = place.root.join(dst);
            let now = allocated(&path);
            if now > self.most {
                return Err(format!(
                    "{}: {now} bytes are allocated, at most {} expected",
                    self.copy, self.most
                ));
            }
            self.check_times(&path, among.copies.len() == 1)?;
        }
        Ok(End::Copied(report))
    }

    /// The times of the copy are those that the source had. Other copies may have read the source before.
    fn check_times(&self, path: &Path, alone: bool) -> Result<(), String> {
        let known = |times: Times| match alone {
            true => times.to_vec(),
            false => times[..1].to_vec(),
        };
        let (found, expected) = (verify::times(path).map(known), self.times.map(known));
        if self.copy.options.preserve_times && found != expected {
            return Err(format!(
                "{}: the times are {found:?}, expected {expected:?}",
                self.copy
            ));
        }
        Ok(())
    }

    /// Finds out whether a copy that was dropped is published.
    fn dropped(&self, place: &Place) -> Result<End, String> {
        let Some(dst) = &self.prediction.dst else {
            return Ok(End::Failed);
        };
        if inode(&place.root.join(dst)) == self.inode {
            return Ok(End::Failed);
        }
        match self.prediction.causes.is_empty() {
            true => Ok(End::Published),
            false => Err(format!(
                "{}: the destination has changed, expected one of {:?}",
                self.copy, self.prediction.causes
            )),
        }
    }
}
