use fast_copy::{Error, p3};

pub async fn sum() -> Result<u64, Error> {
    let mut bytes = 0;
    let mut ranges = p3::data_ranges("base.img")?;
    while let Some(range) = ranges.next().await {
        bytes += range?.length;
    }
    Ok(bytes)
}
