//! What the copy of a run returned, as the child sends it.

use wasmtime_fast_copy::{CopyError, CopyErrorKind, CopyMethod, CopyReport};

/// What a copy returned, and what its quota was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub result: Result<Made, Failed>,
    pub used: u64,
    pub reserved: u64,
}

/// From the report of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub is_clone: bool,
    pub charge: u64,
    pub permissions_narrower: bool,
    pub times_not_preserved: bool,
}

/// From the error of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub published: bool,
    pub in_doubt: bool,
    pub leftover: Option<u64>,
    pub text: String,
}

impl Outcome {
    pub fn of(result: Result<CopyReport, CopyError>, used: u64, reserved: u64) -> Self {
        let result = match result {
            Ok(report) => Ok(Made {
                is_clone: report.method == CopyMethod::Reflink,
                charge: report.allocated.max(report.copied),
                permissions_narrower: report.notes.permissions_narrower,
                times_not_preserved: report.notes.times_not_preserved,
            }),
            Err(error) => Err(Failed {
                published: error.is_published(),
                in_doubt: error.is_in_doubt(),
                leftover: error.leftover(),
                text: match error.kind() {
                    CopyErrorKind::Os(os) => format!("{:?}: {os}", error.step()),
                    kind => format!("{:?}: {kind:?}", error.step()),
                },
            }),
        };
        Self {
            result,
            used,
            reserved,
        }
    }

    /// Returns a line from which [`parse`](Self::parse) restores the outcome.
    pub fn line(&self) -> String {
        let (used, reserved) = (self.used, self.reserved);
        match &self.result {
            Ok(made) => format!(
                "ok\t{used}\t{reserved}\t{}\t{}\t{}\t{}",
                made.is_clone, made.charge, made.permissions_narrower, made.times_not_preserved
            ),
            Err(failed) => format!(
                "error\t{used}\t{reserved}\t{}\t{}\t{}\t{}",
                failed.published,
                failed.in_doubt,
                failed
                    .leftover
                    .map_or("none".to_owned(), |bytes| bytes.to_string()),
                failed.text.replace(['\n', '\t'], " ")
            ),
        }
    }

    /// Returns none if the child did not write a whole line.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split('\t').collect();
        let [kind, used, reserved, a, b, c, d] = fields[..] else {
            return None;
        };
        let result = match kind {
            "ok" => Ok(Made {
                is_clone: a.parse().ok()?,
                charge: b.parse().ok()?,
                permissions_narrower: c.parse().ok()?,
                times_not_preserved: d.parse().ok()?,
            }),
            _ => Err(Failed {
                published: a.parse().ok()?,
                in_doubt: b.parse().ok()?,
                leftover: match c {
                    "none" => None,
                    bytes => Some(bytes.parse().ok()?),
                },
                text: d.to_owned(),
            }),
        };
        Some(Self {
            result,
            used: used.parse().ok()?,
            reserved: reserved.parse().ok()?,
        })
    }
}
