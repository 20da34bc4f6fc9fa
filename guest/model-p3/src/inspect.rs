//! The functions of `inspect`, on WASI 0.3.

use fast_copy::p3::bindings::inspect;
use front::Descriptor;

use crate::answers::answer;

pub async fn disk_usage(dir: &Descriptor, name: String) -> String {
    let usage = inspect::disk_usage(dir, name).await;
    answer(usage.map(|usage| format!("{} {}", usage.size, usage.allocated)))
}

pub async fn summarize_extents(dir: &Descriptor, name: String) -> String {
    let summary = inspect::summarize_extents(dir, name).await;
    answer(summary.map(|summary| format!("{} {}", summary.extents, summary.shared)))
}
