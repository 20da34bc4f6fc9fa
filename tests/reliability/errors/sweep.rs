//! The process that makes all copies of one file system, one after the other. It has one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use super::calls::Call;
use super::cases::{self, Case, Files};
use super::check::{Verdict, check};
use super::errno;
use super::expected::must_succeed;
use super::run::{At, Effect, Ended, Fate, Injection, inject, trace};

/// What the worker prints: lines of tabs and fields, of which the first is one of these.
pub const COUNT: &str = "count";
pub const VIOLATION: &str = "violation";
pub const ANSWER: &str = "answer";
pub const CASE: &str = "case";

/// The most violations that are described.
const DESCRIBED: usize = 40;

/// Makes the copies. The arguments are a directory, whether it has reflinks, the seed of the short form or `long`,
/// and optionally the title of the only case to try.
pub fn main(args: &[String]) -> ExitCode {
    let [dir, reflinks, form, only @ ..] = args else {
        panic!("DIR REFLINKS SEED|long [CASE]");
    };
    let mut sweep = Sweep::new(form.parse().ok());
    for (number, case) in cases::all(reflinks == "true", form == "long")
        .into_iter()
        .enumerate()
    {
        if only.is_empty() || only.contains(&case.title()) {
            let dir = Path::new(dir).join(number.to_string());
            std::fs::create_dir(&dir).unwrap();
            sweep.case(case, &dir);
        }
    }
    sweep.print();
    ExitCode::SUCCESS
}

struct Sweep {
    /// The state of the random numbers that select errors for the short form.
    random: Option<u64>,
    runs: u64,
    not_reached: u64,
    violations: u64,
    verdicts: BTreeMap<Verdict, u64>,
    /// After which errors of a call copies have succeeded, and after which they have failed.
    answers: BTreeMap<(Call, bool), BTreeSet<i32>>,
}

impl Sweep {
    fn new(random: Option<u64>) -> Self {
        Self {
            random,
            runs: 0,
            not_reached: 0,
            violations: 0,
            verdicts: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    fn case(&mut self, case: Case, dir: &Path) {
        let mut files = Files::new(dir, case.long);
        files.reset(case.replace);
        let (ended, calls) = trace(case, &files);
        let started = std::time::Instant::now();
        let runs = self.runs;
        match self.judge(case, &files, None, &ended) {
            Ok(Verdict::Identical) if !case.fails() => {}
            Ok(Verdict::Unchanged) if case.fails() => {}
            other => self.violation(&format!(
                "{}: without an injection: {other:?}, {ended:?}",
                case.title()
            )),
        }
        let mut by_call: BTreeMap<Call, usize> = BTreeMap::new();
        for call in calls {
            *by_call.entry(call).or_default() += 1;
        }
        let mut changed = true;
        for (call, count) in by_call {
            if call.excluded().is_some() {
                continue;
            }
            if call.name == "unknown" || call.what == "unknown" {
                self.violation(&format!("{call} is not known to this test"));
                continue;
            }
            let mut tried = Vec::new();
            for at in self.places(case, count) {
                tried.extend(
                    self.effects(case, call, at)
                        .into_iter()
                        .map(|effect| (at, effect)),
                );
            }
            // A look-up that fails between the two steps once left the empty file.
            if case.reserves_its_name() && call.is("statx of a name") {
                tried.extend((0..count).map(|index| (At::Index(index), Effect::Fails(libc::EIO))));
            }
            for (at, effect) in tried {
                if changed {
                    files.reset(case.replace);
                }
                let is_last = at == At::Index(count - 1);
                changed = self.run(case, &files, &Injection { call, at, effect }, is_last);
            }
        }
        if std::fs::read(&files.src).unwrap() != files.content {
            self.violation(&format!("{}: the source has changed", case.title()));
        }
        println!(
            "{CASE}\t{}\t{}\t{}",
            case.title(),
            self.runs - runs,
            started.elapsed().as_millis()
        );
    }

    /// Makes one copy. Returns whether it has changed anything in the directory.
    fn run(&mut self, case: Case, files: &Files, injection: &Injection, is_last: bool) -> bool {
        let (ended, fate) = inject(case, files, injection);
        self.runs += 1;
        if fate == Fate::NotReached {
            // Two threads share the calls by chance.
            self.not_reached += 1;
            if !case.has_two_threads() {
                self.violation(&format!(
                    "{}: {injection}: the call was not made",
                    case.title()
                ));
            }
        }
        let verdict = self.judge(case, files, Some(injection), &ended);
        let must = must_succeed(case, *injection, fate, is_last);
        match &verdict {
            Ok(Verdict::Identical) => {}
            Ok(other) if must => self.violation(&format!(
                "{}: {injection}: the copy must succeed, and is {other:?}: {ended:?}",
                case.title()
            )),
            Ok(_) => {}
            Err(reason) => {
                self.violation(&format!(
                    "{}: {injection}: {reason}: {ended:?}",
                    case.title()
                ));
            }
        }
        if let Ok(verdict) = verdict {
            *self.verdicts.entry(verdict).or_default() += 1;
            if let Effect::Fails(error) = injection.effect {
                let succeeds = verdict == Verdict::Identical;
                self.answers
                    .entry((injection.call, succeeds))
                    .or_default()
                    .insert(error);
            }
        }
        verdict != Ok(Verdict::Unchanged)
    }

    fn judge(
        &self,
        case: Case,
        files: &Files,
        injection: Option<&Injection>,
        ended: &Ended,
    ) -> Result<Verdict, String> {
        match ended {
            Ended::Returned(outcome) => check(case, files, injection, outcome),
            Ended::Died(how) => Err(how.clone()),
        }
    }

    fn violation(&mut self, text: &str) {
        self.violations += 1;
        if self.violations <= DESCRIBED as u64 {
            println!("{VIOLATION}\t{}", text.replace(['\n', '\t'], " "));
        }
    }

    /// Returns where to try the calls of one kind: in the long form the first, the middle and the last of them, and
    /// all of them; in the short form the first and one of the others.
    fn places(&mut self, case: Case, count: usize) -> Vec<At> {
        if case.has_two_threads() {
            return vec![At::Index(0)];
        }
        let mut others: Vec<_> = [count / 2, count - 1].map(At::Index).into();
        others.push(At::Every);
        others.dedup();
        others.retain(|&at| count > 1 && at != At::Index(0));
        let mut places = vec![At::Index(0)];
        match &mut self.random {
            Some(state) if !others.is_empty() => {
                places.push(others[next(state) as usize % others.len()]);
            }
            _ => places.extend(others),
        }
        places
    }

    /// Returns the effects to try on a call: in the long form all of them, else a selection.
    fn effects(&mut self, case: Case, call: Call, at: At) -> Vec<Effect> {
        let mut effects: Vec<_> = self
            .errors(case, at)
            .into_iter()
            .filter(|&error| !is_an_answer(call, error))
            // A call that is always interrupted is repeated forever.
            .filter(|&error| at != At::Every || error != libc::EINTR)
            .map(Effect::Fails)
            .collect();
        if at == At::Every {
            return effects;
        }
        if call.can_be_short() {
            effects.extend([Effect::ReturnsZero, Effect::MovesOneByte, Effect::MovesHalf]);
        }
        if call.can_lose_its_reply() {
            for error in self.some_of(errno::LOST_REPLY, 1) {
                if errno::can_be_lost(call, error) {
                    effects.push(Effect::LosesItsReply(error));
                }
            }
        }
        if call.publishes() {
            // Most file systems return the first one, and the engine knows the second one.
            let mut errors = vec![libc::EIO, libc::ETIMEDOUT];
            errors.extend(self.some_of(errno::LOST_REPLY, 0));
            for error in errors {
                if error == libc::EINTR || !errno::can_be_lost(call, error) {
                    continue;
                }
                for lookups in [1, usize::MAX] {
                    let in_doubt = |works| Effect::InDoubt {
                        error,
                        works,
                        lookups,
                    };
                    effects.extend([true, false].map(in_doubt));
                }
            }
        }
        effects
    }

    fn errors(&mut self, case: Case, at: At) -> Vec<i32> {
        let all: Vec<_> = errno::ALL.iter().map(|(_, number)| *number).collect();
        if self.random.is_none() {
            return match case.is_thorough() {
                true => all,
                false => errno::COMMON.to_vec(),
            };
        }
        let common = if at == At::Index(0) { 2 } else { 1 };
        let mut errors = self.some_of(errno::COMMON, common);
        errors.extend(self.some_of(&all, 1));
        errors.sort_unstable();
        errors.dedup();
        errors
    }

    /// Returns all errors in the long form, and a random choice in the short form.
    fn some_of(&mut self, errors: &[i32], count: usize) -> Vec<i32> {
        match &mut self.random {
            None => errors.to_vec(),
            Some(state) => (0..count)
                .map(|_| errors[next(state) as usize % errors.len()])
                .collect(),
        }
    }

    fn print(&self) {
        for ((call, succeeds), errors) in &self.answers {
            let names: Vec<_> = errors.iter().map(|&error| errno::name(error)).collect();
            println!("{ANSWER}\t{call}\t{succeeds}\t{}", names.join(" "));
        }
        let verdict = |verdict| self.verdicts.get(&verdict).copied().unwrap_or(0);
        for (name, count) in [
            ("runs", self.runs),
            ("identical copy", verdict(Verdict::Identical)),
            ("error and unchanged", verdict(Verdict::Unchanged)),
            ("not durable", verdict(Verdict::NotDurable)),
            ("in doubt", verdict(Verdict::InDoubt)),
            ("staging name left", verdict(Verdict::NameLeft)),
            ("violations", self.violations),
        ] {
            println!("{COUNT}\t{name}\t{count}");
        }
    }
}

/// Whether an error number is no failure of this call, but an answer that would be wrong.
fn is_an_answer(call: Call, error: i32) -> bool {
    match error {
        // No data at or after this offset.
        libc::ENXIO => call.is("lseek SEEK_DATA") || call.is("lseek SEEK_HOLE"),
        // There is no such name.
        libc::ENOENT => call.is("statx of a name") || call.is("unlinkat"),
        _ => false,
    }
}

/// Returns the next of a series of random numbers (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
