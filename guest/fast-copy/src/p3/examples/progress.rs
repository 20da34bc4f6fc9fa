use fast_copy::{CopyOptions, Error, p3};

pub async fn copy() -> Result<(), Error> {
    let mut job = p3::start_fast_copy("base.img", "vm1.img", &CopyOptions::new())?;
    while let Some(progress) = job.progress().await {
        println!("{} bytes", progress.copied);
    }
    println!("{}", job.wait().await?.method);
    Ok(())
}
