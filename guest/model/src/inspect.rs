//! The functions of `inspect`, on WASI 0.2.

use fast_copy::bindings::inspect;
use front::Descriptor;

use crate::answers::answer;

pub async fn disk_usage(dir: &Descriptor, name: String) -> String {
    let usage = inspect::disk_usage(dir, &name);
    answer(usage.map(|usage| format!("{} {}", usage.size, usage.allocated)))
}

pub async fn summarize_extents(dir: &Descriptor, name: String) -> String {
    let summary = inspect::summarize_extents(dir, &name);
    answer(summary.map(|summary| format!("{} {}", summary.extents, summary.shared)))
}
