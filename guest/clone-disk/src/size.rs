//! Formats sizes for people, and parses theirs.

/// Returns a number of bytes in binary units, such as `1.5 GiB`.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns the bytes that a spelling such as `4096`, `64K` or `40G` stands for.
pub fn parse_size(spelling: &str) -> Result<u64, String> {
    let (digits, unit) = match spelling.char_indices().last() {
        Some((end, 'K')) => (&spelling[..end], 1 << 10),
        Some((end, 'M')) => (&spelling[..end], 1 << 20),
        Some((end, 'G')) => (&spelling[..end], 1 << 30),
        Some((end, 'T')) => (&spelling[..end], 1 << 40),
        _ => (spelling, 1),
    };
    // `parse` accepts a sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "--size needs a whole number of bytes, or one with K, M, G or T, not '{spelling}'"
        ));
    }
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("--size {spelling} is too large"))
}
