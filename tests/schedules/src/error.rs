//! Why a call of a model failed.

#[derive(Debug)]
pub(crate) enum CallError {
    Busy(&'static str),
    Cancelled,
    TimedOut(&'static str),
    Lost,
    /// The work of the model failed.
    Failed,
}
