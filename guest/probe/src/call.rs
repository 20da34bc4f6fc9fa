//! A call that can be repeated.

use front::Descriptor;

use crate::copy::Copy;
use crate::operands::{descriptor, unescape};
use crate::outcome::Outcome;

const USAGE: &str = "usage: \
    (fast-copy|sparse-copy|stat) SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS [REPEAT] | \
    data-ranges DIR PATH START [REPEAT] | \
    can-reflink SRC_DIR DST_DIR [REPEAT] | \
    many (fast-copy|sparse-copy) SRC_DIR SRC_PATH DST_DIR DST_PATH OPTIONS COPIES IN_FLIGHT | \
    sdk (fast-copy|sparse-copy|start-fast-copy) SRC DST OPTIONS";

pub enum Call<'a> {
    Copy(Copy<'a>),
    Stat(Descriptor, &'a str),
    DataRanges(Descriptor, &'a str, u64),
    CanReflink(Descriptor, Descriptor),
}

impl<'a> Call<'a> {
    /// Parses the arguments. Returns the call, and REPEAT.
    pub async fn parse(args: &[&'a str]) -> (Self, Option<&'a str>) {
        let (call, repeat) = match args {
            ["stat", src, path, _, _, _, repeat @ ..] => {
                (Call::Stat(descriptor(src).await, path), repeat)
            }
            ["data-ranges", dir, path, start, repeat @ ..] => {
                let start = start.parse().expect("START must be a number");
                (Call::DataRanges(descriptor(dir).await, path, start), repeat)
            }
            ["can-reflink", src, dst, repeat @ ..] => {
                let call = Call::CanReflink(descriptor(src).await, descriptor(dst).await);
                (call, repeat)
            }
            _ => {
                let (copy, repeat) = args
                    .split_at_checked(6)
                    .unwrap_or_else(|| panic!("{USAGE}"));
                (Call::Copy(Copy::parse(copy).await), repeat)
            }
        };
        (call, repeat.first().copied())
    }

    /// Returns the paths for the call with this number.
    pub fn paths(&self, number: usize) -> [String; 2] {
        match self {
            Call::Copy(copy) => copy.paths(number),
            Call::Stat(_, path) | Call::DataRanges(_, path, _) => {
                [unescape(path, number), String::new()]
            }
            Call::CanReflink(..) => Default::default(),
        }
    }

    pub async fn make(&self, paths: [String; 2]) -> Outcome {
        match self {
            Call::Copy(copy) => Outcome::Copy(copy.make(paths).await),
            Call::Stat(dir, _) => {
                let [path, _] = paths;
                Outcome::Stat(front::stat(dir, path).await)
            }
            Call::DataRanges(dir, _, start) => {
                let [path, _] = paths;
                Outcome::DataRanges(front::data_ranges(dir, path, *start).await)
            }
            Call::CanReflink(src, dst) => Outcome::CanReflink(front::can_reflink(src, dst).await),
        }
    }
}
