//! Formats the result of a call.

use front::{
    CopyError, CopyNotes, CopyReport, DataRange, ErrorCode, ReflinkSupport, WasiErrorCode,
};

/// The result of a call.
pub enum Outcome {
    Copy(Result<CopyReport, CopyError>),
    Stat(Result<(), WasiErrorCode>),
    DataRanges(Result<Vec<DataRange>, ErrorCode>),
    CanReflink(Result<ReflinkSupport, ErrorCode>),
}

impl Outcome {
    /// Returns the line to print, as `Err` if the call has failed.
    pub fn line(self) -> Result<String, String> {
        match self {
            Outcome::Copy(Ok(report)) => Ok(format!(
                "ok {:?} {} {} {} {}{}",
                report.method,
                report.size,
                report.copied,
                report.allocated,
                report.durable,
                notes(report.notes),
            )),
            Outcome::Copy(Err(error)) => Err(format!("err {:?} {:?}", error.code, error.operand)),
            Outcome::Stat(Ok(())) => Ok("ok".to_owned()),
            Outcome::Stat(Err(code)) => Err(format!("err {code:?}")),
            Outcome::DataRanges(Ok(ranges)) => {
                let ranges = ranges.iter();
                let words = ranges.map(|range| format!(" {}+{}", range.offset, range.length));
                Ok(format!("ok{}", words.collect::<String>()))
            }
            Outcome::CanReflink(Ok(support)) => Ok(format!("ok {support:?}")),
            Outcome::DataRanges(Err(code)) | Outcome::CanReflink(Err(code)) => {
                Err(format!("err {code:?}"))
            }
        }
    }
}

/// Returns the notes by their names in the WIT, after a space, or nothing if there are none.
fn notes(notes: CopyNotes) -> String {
    let names: Vec<_> = notes
        .iter_names()
        .map(|(name, _)| name.to_lowercase().replace('_', "-"))
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" {}", names.join(",")),
    }
}
