//! Times as the tables print them.

/// Formats a time in milliseconds, with three digits.
pub fn millis(seconds: f64) -> String {
    let millis = seconds * 1e3;
    match millis {
        ..10.0 => format!("{millis:.2}"),
        ..100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

/// Formats a time with its unit: microseconds, milliseconds or seconds.
pub fn with_unit(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        1.0.. => format!("{seconds:.1} s"),
        _ => format!("{} ms", millis(seconds)),
    }
}
