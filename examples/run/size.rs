//! Sizes on the command line.

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
        return Err("write a whole number of bytes, or one with K, M, G or T: 40G".to_owned());
    }
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "write a size below 16 EiB".to_owned())
}
