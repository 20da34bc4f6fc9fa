//! Counts results.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::outcome::Outcome;

/// The number of calls for each result. Prints `ok` first, if a call had this result.
#[derive(Default)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    pub fn add(&mut self, result: impl Into<String>) {
        *self.0.entry(result.into()).or_default() += 1;
    }

    /// Counts a call as `ok`, or by the line that describes its error.
    pub fn add_outcome(&mut self, outcome: Outcome) {
        match outcome.line() {
            Ok(_) => self.add("ok"),
            Err(line) => self.add(line),
        }
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts = self.0.iter().rev();
        let words: Vec<_> = counts
            .map(|(result, count)| format!("{count} {result}"))
            .collect();
        f.write_str(&words.join(", "))
    }
}
