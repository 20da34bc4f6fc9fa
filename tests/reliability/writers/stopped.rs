//! A copy is stopped after a system call, the source changes at both ends, and the copy goes on.
//!
//! Each strategy of the engine is tried. A copy that contains one of the two changes only is wrong.

use std::collections::BTreeMap;

use fast_copy_test_support::files::names;
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::{Prepared, prepared};
use fast_copy_test_support::scale::scaled;
use fast_copy_test_support::traced::Call;

use super::states::{State, read};
use super::writer::{Kind, Writer};
use super::{Figures, Layout, make_source};

pub fn test(fs: &FileSystem) {
    let dir = fs.dir();
    let supported = |kind: &Kind| kind.is_supported(dir.path());
    let kinds: Vec<_> = Kind::ALL.into_iter().filter(supported).collect();
    let mut rows: BTreeMap<&str, Figures> = BTreeMap::new();
    let mut turn = 0;
    for prepared in prepared(fs) {
        let is_basic = prepared.strategy.is_basic();
        let layout = match prepared.strategy.two_threads {
            true => Layout::Fragmented,
            false => Layout::Dense,
        };
        make_source(&prepared.src, layout);
        let points = points(&prepared, &prepared.calls().1);
        // The short form takes some of the points, and one kind at each, in turn.
        let most = scaled(points.len(), if is_basic { 8 } else { 2 });
        let kinds_at_each = if is_basic { scaled(kinds.len(), 1) } else { 1 };
        for point in points.iter().step_by(points.len().div_ceil(most)) {
            for _ in 0..kinds_at_each {
                let kind = kinds[turn % kinds.len()];
                turn += 1;
                let figures = rows.entry(kind.name()).or_default();
                change_at(&prepared, layout, point, kind, figures);
            }
        }
    }
    for (kind, figures) in &rows {
        figures.record(&format!("{}, {kind}, between two calls", fs.name));
    }
    let violations: Vec<_> = rows.into_values().flat_map(|row| row.violations).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// Returns the calls at which a copy can be stopped in every run: `NAME:when=NUMBER`.
fn points(prepared: &Prepared, calls: &[Call]) -> Vec<String> {
    let mut points = Vec::new();
    for call in calls {
        let name = call.name.as_str();
        let is_shared = prepared.strategy.two_threads && call.is_shared_by_threads();
        let counts = call.thread == calls[0].thread
            && !is_shared
            && !prepared.needs(name)
            && !call.is_for_memory_or_threads()
            && name != "clone3"
            // The standard library's debug check of a descriptor before it closes it.
            && !call.line.contains("F_GETFD");
        if counts {
            points.push(format!("{name}:when={}", call.number));
        }
    }
    if prepared.strategy.two_threads {
        // One of the threads makes at least half of them.
        let written = calls.iter().filter(|call| call.name == "pwrite64").count();
        points.extend(
            [1, written / 4, written / 2].map(|number| format!("pwrite64:when={}", number.max(1))),
        );
    }
    points
}

/// Stops a copy at a call, changes its source, and examines what the copy does.
fn change_at(prepared: &Prepared, layout: Layout, point: &str, kind: Kind, figures: &mut Figures) {
    let before = make_source(&prepared.src, layout);
    let mut writer = Writer::new(kind, &prepared.src, 0..before.len(), 0, 0);
    if let Kind::MappedClean | Kind::MappedRead | Kind::MappedDirty = kind {
        // The pages have been written to.
        for operation in writer.at_both_ends() {
            writer.perform(&operation);
        }
    }
    if let Kind::MappedClean | Kind::MappedRead = kind {
        writer.clean();
    }
    if kind == Kind::MappedRead {
        writer.read();
    }
    let before = read(&prepared.src).unwrap();
    let stopped = prepared.start_and_stop_at(point);
    let mut after = before.clone();
    for operation in writer.at_both_ends() {
        writer.perform(&operation);
        operation.apply(&mut after);
    }
    let outcome = stopped.go_on();
    // The contract documents that stores to pages that are dirty, or on tmpfs accessed, are not detected.
    let is_excepted = kind == Kind::MappedDirty || kind == Kind::MappedRead && writer.is_on_tmpfs();
    figures.copies += 1;
    match classify(prepared, &outcome, [&before, &after]) {
        Ok(Found::State) => figures.ok += 1,
        Ok(Found::SourceChanged) => figures.source_changed += 1,
        Ok(Found::Torn(_)) if is_excepted => figures.exceptions += 1,
        Ok(Found::Torn(what)) | Err(what) => figures.violations.push(format!(
            "{}, stopped at {point}, {}: {what}: {outcome:?}",
            prepared.strategy.name,
            kind.name()
        )),
    }
}

enum Found {
    State,
    SourceChanged,
    /// Some blocks are those before the change, the others those after it.
    Torn(String),
}

fn classify(prepared: &Prepared, outcome: &Outcome, states: [&State; 2]) -> Result<Found, String> {
    match outcome {
        Outcome::Ok(..) => {}
        Outcome::Err(kind, _) if kind == "SourceChanged" => {
            // It also fails the test if another name is left.
            prepared.assert_as_before("the source has changed");
            return Ok(Found::SourceChanged);
        }
        other => return Err(format!("{other:?}")),
    }
    if names(prepared.dir()) != ["dst", "src"] {
        return Err(format!("{:?} are there", names(prepared.dir())));
    }
    let copy = read(&prepared.dst)?;
    if states.contains(&&copy) {
        return Ok(Found::State);
    }
    let [before, after] = states;
    let is_of_one = |block: usize| {
        [before, after]
            .iter()
            .any(|state| state.get(block) == copy.get(block))
    };
    match copy.len() == before.len() && (0..copy.len()).all(is_of_one) {
        true => Ok(Found::Torn("it contains a part of the change".to_owned())),
        false => Err("it contains what the source never did".to_owned()),
    }
}
