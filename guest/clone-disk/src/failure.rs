//! Words the message of a command that did not do all its work.

use std::fmt::Display;

/// The most names that a message lists.
const LISTED: usize = 10;

/// Returns the cause of a failure, and the names that were not attempted because of it.
pub fn failure(cause: impl Display, not_attempted: &[String]) -> String {
    let listed = not_attempted.iter().take(LISTED);
    let list = listed.map(String::as_str).collect::<Vec<_>>().join(", ");
    match not_attempted.len() {
        0 => cause.to_string(),
        count if count > LISTED => {
            format!("{cause}\nnot attempted: {list} and {} more", count - LISTED)
        }
        _ => format!("{cause}\nnot attempted: {list}"),
    }
}
