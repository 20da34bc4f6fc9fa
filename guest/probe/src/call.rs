//! Parses a call, and makes it.

use fast_copy::Descriptor;
use fast_copy::bindings::{copy, inspect};
use wasip2::filesystem::types::PathFlags;

use crate::operands::{descriptor, unescape};
use crate::options::Options;
use crate::outcome::Outcome;

const USAGE: &str = "usage: \
    probe (fast-copy|sparse-copy|stat) SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS [REPEAT] | \
    probe data-ranges DIR PATH START [REPEAT] | \
    probe can-reflink SRC_DIR DST_DIR [REPEAT]";

/// A call that can be repeated.
pub struct Call<'a> {
    function: Function,
    src: Descriptor,
    /// The paths as the arguments spell them.
    paths: [&'a str; 2],
}

enum Function {
    FastCopy(Descriptor, Options),
    SparseCopy(Descriptor, Options),
    Stat,
    DataRanges(u64),
    CanReflink(Descriptor),
}

impl<'a> Call<'a> {
    /// Parses the arguments. Returns the call, and REPEAT.
    pub fn parse(args: &[&'a str]) -> (Self, Option<&'a str>) {
        let (function, src, paths, repeat) = match args {
            ["data-ranges", dir, path, start, repeat @ ..] => {
                let start = start.parse().expect("START must be a number");
                (Function::DataRanges(start), dir, [*path, ""], repeat)
            }
            ["can-reflink", src, dst, repeat @ ..] => {
                (Function::CanReflink(descriptor(dst)), src, ["", ""], repeat)
            }
            [name, src, src_path, dst, dst_path, options, repeat @ ..] => {
                let (dst, options) = (descriptor(dst), Options::parse(options));
                let function = match *name {
                    "fast-copy" => Function::FastCopy(dst, options),
                    "sparse-copy" => Function::SparseCopy(dst, options),
                    "stat" => Function::Stat,
                    other => panic!("unknown function {other}; {USAGE}"),
                };
                (function, src, [*src_path, *dst_path], repeat)
            }
            _ => panic!("{USAGE}"),
        };
        let call = Self {
            function,
            src: descriptor(src),
            paths,
        };
        (call, repeat.first().copied())
    }

    /// Returns the paths for the call with this number.
    pub fn paths(&self, number: usize) -> [String; 2] {
        self.paths.map(|path| unescape(path, number))
    }

    pub fn make(&self, [src_path, dst_path]: &[String; 2]) -> Outcome {
        let src = &self.src;
        match &self.function {
            Function::FastCopy(dst, options) => {
                let options = options.create();
                let options = options.as_ref();
                Outcome::Copy(copy::fast_copy(src, src_path, dst, dst_path, options))
            }
            Function::SparseCopy(dst, options) => {
                let options = options.create();
                let options = options.as_ref();
                Outcome::Copy(copy::sparse_copy(src, src_path, dst, dst_path, options))
            }
            Function::Stat => Outcome::Stat(src.stat_at(PathFlags::empty(), src_path).map(drop)),
            Function::DataRanges(start) => {
                Outcome::DataRanges(inspect::data_ranges(src, src_path, *start))
            }
            Function::CanReflink(dst) => Outcome::CanReflink(inspect::can_reflink(src, dst)),
        }
    }
}
