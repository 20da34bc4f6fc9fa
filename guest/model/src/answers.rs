//! Formats what the functions of `inspect` return.

use front::{Descriptor, ErrorCode};

pub async fn data_ranges(dir: &Descriptor, name: String, start: u64) -> String {
    let ranges = front::data_ranges(dir, name, start).await;
    answer(ranges.map(|ranges| {
        let ranges = ranges
            .iter()
            .map(|range| format!("{}+{}", range.offset, range.length));
        ranges.collect::<Vec<_>>().join(" ")
    }))
}

pub async fn can_reflink(dir: &Descriptor) -> String {
    let support = front::can_reflink(dir, dir).await;
    answer(support.map(|support| format!("{support:?}")))
}

/// Returns `ok` and the text, or `err CODE`.
pub fn answer(result: Result<String, ErrorCode>) -> String {
    match result {
        Ok(text) => format!("ok {text}"),
        Err(code) => format!("err {code:?}"),
    }
}
