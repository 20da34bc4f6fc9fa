//! Compares what the functions of `inspect` return with the model.

use std::collections::BTreeSet;
use std::ops::Range;

use fast_copy_test_support::files::allocated;

use super::blocks::{self, Blocks};
use super::driver::Place;
use super::operation::Operation;
use super::predict::NOT_A_FILE;
use super::state::{Entry, State};

/// A call, and what is known before it.
pub struct Question {
    operation: Operation,
    /// The name of the file, or the errors that the call may return.
    file: Result<String, Vec<&'static str>>,
    allocated: u64,
}

/// Prepares the comparison of a call.
pub fn begin(state: &State, place: &Place, operation: Operation) -> Question {
    let path = match &operation {
        Operation::DiskUsage { name }
        | Operation::SummarizeExtents { name }
        | Operation::DataRanges { name, .. } => name.as_str(),
        _ => "",
    };
    let file = match state.resolve(path, false, &mut BTreeSet::new()) {
        _ if path.ends_with('/') => Err(NOT_A_FILE.to_vec()),
        Err(cause) => Err(vec![cause]),
        Ok(found) => match state.entry(&found) {
            Some(Entry::File(_)) => Ok(found),
            Some(Entry::Symlink(_)) => Err(vec!["Loop"]),
            Some(Entry::Directory) => Err(vec!["IsDirectory"]),
            Some(Entry::Fifo) => Err(vec!["NotRegularFile"]),
            None => Err(vec!["NoEntry"]),
        },
    };
    let allocated = file
        .as_ref()
        .map_or(0, |key| allocated(&place.root.join(key)));
    Question {
        operation,
        file,
        allocated,
    }
}

impl Question {
    /// Compares the guest's answer with the model.
    pub fn check(self, state: &State, place: &Place, answer: &str) -> Result<(), String> {
        let wrong = |expected: &dyn std::fmt::Debug| {
            Err(format!("the answer is {answer:?}, expected {expected:?}"))
        };
        if self.operation == Operation::CanReflink {
            let support = if place.reflinks { "Yes" } else { "No" };
            let expected = format!("ok ReflinkSupport::{support}");
            return if answer == expected {
                Ok(())
            } else {
                wrong(&expected)
            };
        }
        let key = match self.file {
            Ok(key) => key,
            Err(causes) => {
                let code = answer.strip_prefix("err ErrorCode::");
                return match code.is_some_and(|code| causes.contains(&code)) {
                    true => Ok(()),
                    false => wrong(&causes),
                };
            }
        };
        let file = state.file_named(&key).expect("a file");
        if matches!(self.operation, Operation::SummarizeExtents { .. }) && place.kind == "tmpfs" {
            let expected = "err ErrorCode::Unsupported";
            return if answer == expected {
                Ok(())
            } else {
                wrong(&expected)
            };
        }
        let Some(text) = answer.strip_prefix("ok ") else {
            return wrong(&"ok");
        };
        match self.operation {
            Operation::DataRanges { start, .. } => {
                check_ranges(text, &file.bytes, start, file.reported())
            }
            _ => {
                let Some((first, second)) = two(text) else {
                    return wrong(&"two numbers");
                };
                let now = allocated(&place.root.join(&key));
                let is_right = match self.operation {
                    Operation::DiskUsage { .. } => {
                        // Writeback can change what is allocated.
                        first == file.size()
                            && (second == self.allocated || second == now || now != self.allocated)
                    }
                    _ => {
                        let can_share = place.reflinks || second == 0;
                        first <= 2 * u64::from(Blocks::BITS) && second <= blocks::MOST && can_share
                    }
                };
                if is_right {
                    Ok(())
                } else {
                    wrong(&(file.size(), now))
                }
            }
        }
    }
}

fn two(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// Checks ranges from `start` on: they are in order, all that is not zero is in them, and nothing that was not
/// written.
fn check_ranges(text: &str, bytes: &[u8], start: u64, most: Blocks) -> Result<(), String> {
    let mut at = start;
    let size = bytes.len() as u64;
    let is_zero = |range: Range<u64>| {
        let part = |at: u64| at.min(size) as usize;
        bytes[part(range.start)..part(range.end)]
            .iter()
            .all(|&byte| byte == 0)
    };
    for range in text.split_whitespace() {
        let numbers = range.split_once('+').and_then(|(offset, length)| {
            let (offset, length): (u64, u64) = (offset.parse().ok()?, length.parse().ok()?);
            Some((offset, length))
        });
        let Some((offset, length)) = numbers else {
            return Err(format!("{range} is no range"));
        };
        let end = offset + length;
        let in_order = offset > at || offset == start;
        if !in_order || length == 0 || end > size {
            return Err(format!("the range {range} is wrong in {text}"));
        }
        if !is_zero(at..offset) {
            return Err(format!("there is data before the range {range} of {text}"));
        }
        if blocks::touched(offset..end) & !most != 0 {
            return Err(format!(
                "the range {range} of {text} has blocks that were not written"
            ));
        }
        at = end;
    }
    match is_zero(at..size) {
        true => Ok(()),
        false => Err(format!("there is data after the ranges {text}")),
    }
}
