//! Counts answers.

use std::collections::BTreeMap;

use front::{CopyError, CopyReport, ErrorCode};

/// The number of calls for each answer.
#[derive(Default)]
pub struct Answers(BTreeMap<String, u64>);

impl Answers {
    pub fn count(&mut self, answer: impl Into<String>) {
        *self.0.entry(answer.into()).or_default() += 1;
    }

    pub fn count_result(&mut self, result: Result<CopyReport, CopyError>) {
        match result {
            Ok(_) => self.count("ok"),
            Err(error) => self.count_code(&error.code),
        }
    }

    /// Counts an error by the name of its code.
    pub fn count_code(&mut self, code: &ErrorCode) {
        self.count(format!("{code:?}").replace("ErrorCode::", ""));
    }

    pub fn print(&self) {
        for (answer, count) in &self.0 {
            println!("{answer} {count}");
        }
    }
}
