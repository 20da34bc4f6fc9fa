//! The invariant, for one run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fast_copy_test_support::files::{allocated, inode};
use wasmtime_fast_copy::STAGING_PREFIX;

use super::calls::Call;
use super::cases::{COPIED_MODE, Case, Files};
use super::outcome::{Failed, Made, Outcome};
use super::run::{Effect, Injection};

/// How a run ended, if it kept the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Identical,
    Unchanged,
    NotDurable,
    InDoubt,
    NameLeft,
}

/// Checks what a copy returned against what it has left.
pub fn check(
    case: Case,
    files: &Files,
    injection: Option<&Injection>,
    outcome: &Outcome,
) -> Result<Verdict, String> {
    if outcome.reserved != 0 {
        return Err(format!("{} bytes are still reserved", outcome.reserved));
    }
    let call = injection.map(|injection| injection.call);
    match &outcome.result {
        Ok(made) => {
            let verdict = check_published(files, call, made.is_clone, Some(made))?;
            match made.charge == outcome.used {
                true => Ok(verdict),
                false => Err(format!("charged {}, not {}", outcome.used, made.charge)),
            }
        }
        Err(failed) if failed.published => {
            if !case.durable
                || failed.in_doubt
                || !call.is_none_or(|call| call.is("fsync") || call.is("syncfs"))
            {
                return Err("it fails as if its directory could not be synchronised".to_owned());
            }
            check_published(files, call, clones(case), None)?;
            charged(outcome, allocated(&files.dst))?;
            Ok(Verdict::NotDurable)
        }
        Err(failed) if failed.in_doubt => {
            let may_be = |call: Call| call.publishes() || call.is("statx of a name");
            if !call.is_none_or(may_be) {
                return Err("it is in doubt, but no call that publishes has failed".to_owned());
            }
            check_in_doubt(case, files, outcome)
        }
        Err(failed) => check_unchanged(case, files, injection, failed, outcome),
    }
}

/// Whether a copy may share blocks, with a source that has more allocated than the copy of its bytes.
fn clones(case: Case) -> bool {
    case.function == fast_copy_test_support::function::Function::Fast
}

fn charged(outcome: &Outcome, bytes: u64) -> Result<(), String> {
    match outcome.used >= bytes {
        true => Ok(()),
        false => Err(format!(
            "{bytes} bytes are allocated, {} charged",
            outcome.used
        )),
    }
}

/// Checks a copy that is in place.
fn check_published(
    files: &Files,
    call: Option<Call>,
    is_clone: bool,
    made: Option<&Made>,
) -> Result<Verdict, String> {
    files.check_copy(&files.dst, is_clone)?;
    let found = fs::symlink_metadata(&files.dst).map_err(|error| error.to_string())?;
    let mode = found.mode() & 0o7777;
    // The file system refuses to set the bits, or does not tell the access control list.
    let may_be_narrower =
        ["fchmod", "fgetxattr"].map(|name| call.is_some_and(|call| call.is(name)));
    let narrower_is_told = made.is_none_or(|made| made.permissions_narrower);
    if mode & !COPIED_MODE != 0 {
        return Err(format!("the mode is {mode:o}"));
    }
    if mode != COPIED_MODE && !(may_be_narrower.contains(&true) && narrower_is_told) {
        return Err(format!(
            "the mode is {mode:o}, and the report does not say so"
        ));
    }
    let has_times = (found.mtime(), found.mtime_nsec()) == files.modified;
    if !has_times && made.is_some_and(|made| !made.times_not_preserved) {
        return Err("the times differ, and the report does not say so".to_owned());
    }
    // Without RENAME_NOREPLACE a link publishes the copy, and its staging name is removed afterwards.
    match (staged(files)?, found.nlink()) {
        (None, 1) => Ok(Verdict::Identical),
        (Some(staged), 2) if inode(&staged) == found.ino() && call.is_some_and(removes) => {
            Ok(Verdict::NameLeft)
        }
        (staged, names) => Err(format!("the copy has {names} names, one is {staged:?}")),
    }
}

/// Whether a name can be left if this call fails.
fn removes(call: Call) -> bool {
    ["unlinkat", "statx of a name", "fstat", "ftruncate"]
        .iter()
        .any(|name| call.is(name))
}

/// Returns the staged file that is left, if there is one.
fn staged(files: &Files) -> Result<Option<std::path::PathBuf>, String> {
    let mut others = files.other_names();
    let is_staged = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(STAGING_PREFIX))
    };
    match others.len() {
        0 => Ok(None),
        1 if is_staged(&others[0]) => Ok(others.pop()),
        _ => Err(format!("left: {others:?}")),
    }
}

/// Checks a copy that is in place or not: the call that publishes it has failed, and its name can't be looked up.
fn check_in_doubt(case: Case, files: &Files, outcome: &Outcome) -> Result<Verdict, String> {
    let staged = staged(files)?;
    let copy = match &staged {
        None => &files.dst,
        // A link has worked, and its old name could not be removed.
        Some(staged) if files.exists() && inode(staged) == inode(&files.dst) => staged,
        Some(staged) if files.is_as_before() || is_placeholder(case, files) => staged,
        Some(staged) => return Err(format!("in doubt, and {staged:?} is left")),
    };
    files.check_copy(copy, clones(case))?;
    charged(outcome, allocated(copy))?;
    Ok(Verdict::InDoubt)
}

/// Whether the destination is an empty file that reserved the name, on a file system where that is necessary.
fn is_placeholder(case: Case, files: &Files) -> bool {
    let empty = fs::symlink_metadata(&files.dst).is_ok_and(|found| found.len() == 0);
    !case.replace && case.reserves_its_name() && empty
}

/// Checks that nothing has changed. The staging name or the empty file that reserved the destination's name may be
/// left if it could not be removed: then the file is empty, or charged.
fn check_unchanged(
    case: Case,
    files: &Files,
    injection: Option<&Injection>,
    failed: &Failed,
    outcome: &Outcome,
) -> Result<Verdict, String> {
    let call = injection.map(|injection| injection.call);
    // Then it is not known whether the name was removed.
    let blind = injection.is_some_and(|one| match one.effect {
        Effect::InDoubt { .. } => true,
        Effect::LosesItsReply(_) => one.call.is("unlinkat"),
        _ => false,
    });
    let may_leave = blind || call.is_some_and(removes);
    let mut left = staged(files)?;
    if !files.is_as_before() {
        if left.is_some() || !may_leave || !is_placeholder(case, files) {
            return Err("it fails, and the destination has changed".to_owned());
        }
        left = Some(files.dst.clone());
    }
    let Some(left) = left else {
        return match (failed.leftover, outcome.used) {
            (None, 0) => Ok(Verdict::Unchanged),
            (Some(0), 0) if blind => Ok(Verdict::Unchanged),
            (leftover, used) => Err(format!(
                "nothing is left, but {leftover:?} is reported and {used} charged"
            )),
        };
    };
    if !may_leave {
        return Err(format!("{left:?} is left, although it could be removed"));
    }
    let size = fs::metadata(&left)
        .map_err(|error| error.to_string())?
        .len();
    let allocated = allocated(&left);
    match (failed.leftover, outcome.used) {
        (Some(leftover), used)
            if leftover == used && used >= allocated && (size == 0 || used > 0) =>
        {
            Ok(Verdict::NameLeft)
        }
        (leftover, used) => Err(format!(
            "a file of {size} bytes is left with {allocated} allocated; {leftover:?} reported, {used} charged"
        )),
    }
}
