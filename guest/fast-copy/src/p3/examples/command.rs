use fast_copy::{Error, p3};

struct Command;

wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        copy().await.map_err(|error| eprintln!("{error}"))
    }
}

async fn copy() -> Result<(), Error> {
    let report = p3::fast_copy("base.img", "vm1.img").await?;
    println!("{}: {} bytes moved", report.method, report.copied);
    Ok(())
}
