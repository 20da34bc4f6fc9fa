//! The result of a copy in a child process.

/// The result of a copy in a child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The method and the number of bytes copied.
    Ok(String, u64),
    /// The kind of the error, and its error number if it has one.
    Err(String, Option<i32>),
    /// The signal that killed the child.
    Killed(i32),
}

impl Outcome {
    #[track_caller]
    pub fn assert_method(&self, method: &str) {
        match self {
            Outcome::Ok(found, _) if found == method => {}
            other => panic!("expected {method}, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn assert_error(&self, kind: &str) {
        match self {
            Outcome::Err(found, _) if found == kind => {}
            other => panic!("expected {kind}, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn assert_errno(&self, errno: i32) {
        match self {
            Outcome::Err(_, Some(found)) if *found == errno => {}
            other => panic!("expected error number {errno}, got {other:?}"),
        }
    }
}
