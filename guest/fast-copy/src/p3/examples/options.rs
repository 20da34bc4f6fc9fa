use fast_copy::{CopyOptions, Error, p3};

pub async fn copy() -> Result<(), Error> {
    let options = CopyOptions::new().size(40 << 30);
    let report = p3::fast_copy_with("base.img", "vm1.img", &options).await?;
    println!("{}, {} bytes allocated", report.method, report.allocated);
    Ok(())
}
