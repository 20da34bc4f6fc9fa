//! Makes copies, and formats their results.

use front::{CopyError, CopyOptions, CopyReport, Descriptor, Function};
use futures::future::join_all;

use crate::operation::{Copy, Options, Way};
use crate::ways;

/// The result of a copy: none if it was dropped.
pub type End = Option<Result<CopyReport, CopyError>>;

/// Makes copies at the same time. The answer has a part for each: `ok METHOD SIZE COPIED ALLOCATED DURABLE NOTES`,
/// `err CODE`, or `dropped`.
pub async fn make(dir: &Descriptor, copies: &[Copy]) -> String {
    let ends = join_all(copies.iter().map(|copy| make_one(dir, copy))).await;
    let parts: Vec<_> = ends.iter().map(format).collect();
    parts.join(" & ")
}

async fn make_one(dir: &Descriptor, copy: &Copy) -> End {
    let options = create(copy.options);
    let options = options.as_ref();
    let function = match copy.sparse {
        true => Function::SparseCopy,
        false => Function::FastCopy,
    };
    let (src, dst) = (copy.src.clone(), copy.dst.clone());
    match copy.way {
        Way::Call => Some(front::copy(function, dir, src, dir, dst, options).await),
        Way::Job => Some(front::copy_with_progress(function, dir, src, dir, dst, options).await),
        Way::Progress => ways::progress(function, dir, &src, &dst, options).await,
        Way::Cancel(after) => ways::cancel(function, dir, &src, &dst, options, after).await,
        Way::Drop(after) => ways::drop(function, dir, &src, &dst, options, after).await,
    }
}

/// Creates the resource of options. None stands for the defaults.
fn create(set: Options) -> Option<CopyOptions> {
    let defaults = Options {
        durable: true,
        ..Options::default()
    };
    if set == defaults {
        return None;
    }
    let options = CopyOptions::new();
    options.set_replace(set.replace);
    options.set_symlink_follow(set.symlink_follow);
    options.set_require_reflink(set.require_reflink);
    options.set_dig_holes(set.dig_holes);
    options.set_durable(set.durable);
    options.set_preserve_times(set.preserve_times);
    options.set_size(set.size);
    Some(options)
}

fn format(end: &End) -> String {
    match end {
        None => "dropped".to_owned(),
        Some(Err(CopyError { code, .. })) => format!("err {code:?}"),
        Some(Ok(report)) => format!(
            "ok {:?} {} {} {} {} {}",
            report.method,
            report.size,
            report.copied,
            report.allocated,
            report.durable,
            report.notes.bits(),
        ),
    }
}
