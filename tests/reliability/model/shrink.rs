//! Shortens a list of operations that fails.

use std::time::{Duration, Instant};

/// How long the shortening may take.
const TIME: Duration = Duration::from_secs(120);

/// Removes elements as long as the list still fails: halves first, then shorter ranges, then single elements
/// (the list form of Zeller's ddmin).
pub fn shrink<T: Clone>(mut list: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let deadline = Instant::now() + TIME;
    let mut length = list.len() / 2;
    while length > 0 {
        let mut removed = false;
        let mut start = 0;
        while start < list.len() && Instant::now() < deadline {
            let end = (start + length).min(list.len());
            let shorter = [&list[..start], &list[end..]].concat();
            if fails(&shorter) {
                list = shorter;
                removed = true;
            } else {
                start = end;
            }
        }
        if Instant::now() >= deadline {
            return list;
        }
        // Single elements are tried again until none can be removed.
        if length > 1 || !removed {
            length /= 2;
        }
    }
    list
}
