//! Does operations that the host sends, on WASI 0.3. It has the lines of `model`. It uses WASI 0.2 for everything
//! but `sandbox:fast-copy`.

#[path = "../../model/src/answers.rs"]
mod answers;
#[path = "../../model/src/copies.rs"]
mod copies;
#[path = "../../model/src/files.rs"]
mod files;
mod inspect;
#[path = "../../model/src/operation.rs"]
mod operation;
#[path = "../../model/src/pattern.rs"]
mod pattern;
#[path = "../../model/src/session.rs"]
mod session;
mod ways;

struct Model;

impl wasip3::exports::cli::run::Guest for Model {
    async fn run() -> Result<(), ()> {
        session::run().await;
        Ok(())
    }
}

wasip3::cli::command::export!(Model);
