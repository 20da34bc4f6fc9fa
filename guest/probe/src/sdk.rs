//! Makes a call of the SDK, and prints its error as a program sees it.

use std::io;

use fast_copy::CopyOptions;
use front::sdk;

use crate::operands::unescape;

/// Makes a copy. Returns the line to print. The option `cd=DIR` sets the working directory before.
pub async fn line(function: &str, src: &str, dst: &str, options: &str) -> String {
    let options = parse(options);
    let (src, dst) = (unescape(src, 0), unescape(dst, 0));
    let result = match function {
        "fast-copy" => sdk::fast_copy(&src, &dst, &options).await,
        "sparse-copy" => sdk::sparse_copy(&src, &dst, &options).await,
        "start-fast-copy" => sdk::start_fast_copy(&src, &dst, &options).await,
        other => panic!("unknown function {other}"),
    };
    match result {
        Ok(report) => format!("ok {}", report.method),
        Err(error) => {
            let (code, operand, text) = (error.code(), error.operand(), error.to_string());
            let kind = io::Error::from(error).kind();
            format!("err {code} {operand:?} {kind:?} {text}")
        }
    }
}

fn parse(names: &str) -> CopyOptions {
    let options = CopyOptions::new().symlink_follow(false);
    let names = names.split(',').filter(|name| !name.is_empty());
    names.fold(options, |options, name| match name {
        "replace" => options.replace(true),
        "symlink-follow" => options.symlink_follow(true),
        "require-reflink" => options.require_reflink(true),
        "dig-holes" => options.dig_holes(true),
        other if other.starts_with("cd=") => {
            std::env::set_current_dir(&other[3..]).expect("a directory");
            options
        }
        other => {
            let size = other.strip_prefix("size=").expect("an option");
            options.size(size.parse().expect("BYTES must be a number"))
        }
    })
}
