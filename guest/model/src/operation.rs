//! The operations, and the lines that stand for them. The guest and the host share this file.

use std::fmt::{self, Display, Formatter};

/// One operation on the files of a directory. Names are paths relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes [bytes](super::pattern::bytes) into a file, which it creates if it is missing.
    Write {
        name: String,
        offset: u64,
        length: u64,
        seed: u64,
    },
    Resize {
        name: String,
        size: u64,
    },
    Read {
        name: String,
        offset: u64,
        length: u64,
    },
    Remove {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
    },
    Symlink {
        target: String,
        name: String,
    },
    /// Copies that run at the same time.
    Copy(Vec<Copy>),
    DiskUsage {
        name: String,
    },
    SummarizeExtents {
        name: String,
    },
    DataRanges {
        name: String,
        start: u64,
    },
    CanReflink,
    /// Waits a short time.
    Wait,
    // The host does the following ones.
    Punch {
        name: String,
        offset: u64,
        length: u64,
    },
    Allocate {
        name: String,
        offset: u64,
        length: u64,
        keep_size: bool,
    },
    /// Writes bytes through a shared mapping, which leaves dirty pages.
    Store {
        name: String,
        offset: u64,
        length: u64,
        seed: u64,
    },
    Sync {
        name: String,
    },
    SetMode {
        name: String,
        mode: u32,
    },
    Fifo {
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub way: Way,
    pub sparse: bool,
    pub src: String,
    pub dst: String,
    pub options: Options,
}

/// The way in which a guest makes a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a call that returns when the copy has ended.
    Call,
    /// As a job, whose end it waits for.
    Job,
    /// As a job, whose progress it reads as well.
    Progress,
    /// It cancels the copy after that many looks at its progress, or microseconds.
    Cancel(u64),
    /// It drops the copy after that many looks at its progress, or microseconds.
    Drop(u64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub replace: bool,
    pub symlink_follow: bool,
    pub require_reflink: bool,
    pub dig_holes: bool,
    pub durable: bool,
    pub preserve_times: bool,
    pub size: Option<u64>,
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use Operation::*;
        match self {
            Write {
                name,
                offset,
                length,
                seed,
            } => write!(f, "write {name:?} {offset} {length} {seed}"),
            Resize { name, size } => write!(f, "resize {name:?} {size}"),
            Read {
                name,
                offset,
                length,
            } => write!(f, "read {name:?} {offset} {length}"),
            Remove { name } => write!(f, "remove {name:?}"),
            Rename { from, to } => write!(f, "rename {from:?} {to:?}"),
            Link { from, to } => write!(f, "link {from:?} {to:?}"),
            Symlink { target, name } => write!(f, "symlink {target:?} {name:?}"),
            Copy(copies) => {
                let copies: Vec<_> = copies.iter().map(|copy| copy.to_string()).collect();
                write!(f, "copy {}", copies.join(" & "))
            }
            DiskUsage { name } => write!(f, "disk-usage {name:?}"),
            SummarizeExtents { name } => write!(f, "summarize-extents {name:?}"),
            DataRanges { name, start } => write!(f, "data-ranges {name:?} {start}"),
            CanReflink => write!(f, "can-reflink"),
            Wait => write!(f, "wait"),
            Punch {
                name,
                offset,
                length,
            } => write!(f, "punch {name:?} {offset} {length}"),
            Allocate {
                name,
                offset,
                length,
                keep_size,
            } => {
                write!(f, "allocate {name:?} {offset} {length} {keep_size}")
            }
            Store {
                name,
                offset,
                length,
                seed,
            } => write!(f, "store {name:?} {offset} {length} {seed}"),
            Sync { name } => write!(f, "sync {name:?}"),
            SetMode { name, mode } => write!(f, "set-mode {name:?} {mode}"),
            Fifo { name } => write!(f, "fifo {name:?}"),
        }
    }
}

impl Display for Copy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            src, dst, options, ..
        } = self;
        let function = if self.sparse {
            "sparse-copy"
        } else {
            "fast-copy"
        };
        match self.way {
            Way::Call => write!(f, "call")?,
            Way::Job => write!(f, "job")?,
            Way::Progress => write!(f, "progress")?,
            Way::Cancel(after) => write!(f, "cancel={after}")?,
            Way::Drop(after) => write!(f, "drop={after}")?,
        }
        write!(f, " {function} {src:?} {dst:?} {options}")
    }
}

impl Display for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.replace, "replace"),
            (self.symlink_follow, "symlink-follow"),
            (self.require_reflink, "require-reflink"),
            (self.dig_holes, "dig-holes"),
            (self.durable, "durable"),
            (self.preserve_times, "preserve-times"),
        ];
        write!(f, "options")?;
        for (_, name) in flags.iter().filter(|(set, _)| *set) {
            write!(f, ",{name}")?;
        }
        match self.size {
            Some(size) => write!(f, ",size={size}"),
            None => Ok(()),
        }
    }
}

/// The words of a line. It panics where one is wrong: both sides are of one build.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        self.0.next().expect("one more word")
    }

    fn name(&mut self) -> String {
        self.word().trim_matches('"').to_owned()
    }

    fn number(&mut self) -> u64 {
        self.word().parse().expect("a number")
    }
}

impl Operation {
    /// Parses the line of an operation.
    pub fn parse(line: &str) -> Self {
        let mut words = Words(line.split_whitespace());
        let w = &mut words;
        match w.word() {
            "write" => Self::Write {
                name: w.name(),
                offset: w.number(),
                length: w.number(),
                seed: w.number(),
            },
            "resize" => Self::Resize {
                name: w.name(),
                size: w.number(),
            },
            "read" => Self::Read {
                name: w.name(),
                offset: w.number(),
                length: w.number(),
            },
            "remove" => Self::Remove { name: w.name() },
            "rename" => Self::Rename {
                from: w.name(),
                to: w.name(),
            },
            "link" => Self::Link {
                from: w.name(),
                to: w.name(),
            },
            "symlink" => Self::Symlink {
                target: w.name(),
                name: w.name(),
            },
            "copy" => Self::Copy(line[5..].split(" & ").map(Copy::parse).collect()),
            "disk-usage" => Self::DiskUsage { name: w.name() },
            "summarize-extents" => Self::SummarizeExtents { name: w.name() },
            "data-ranges" => Self::DataRanges {
                name: w.name(),
                start: w.number(),
            },
            "can-reflink" => Self::CanReflink,
            "wait" => Self::Wait,
            "punch" => Self::Punch {
                name: w.name(),
                offset: w.number(),
                length: w.number(),
            },
            "allocate" => Self::Allocate {
                name: w.name(),
                offset: w.number(),
                length: w.number(),
                keep_size: w.word() == "true",
            },
            "store" => Self::Store {
                name: w.name(),
                offset: w.number(),
                length: w.number(),
                seed: w.number(),
            },
            "sync" => Self::Sync { name: w.name() },
            "set-mode" => Self::SetMode {
                name: w.name(),
                mode: w.number() as u32,
            },
            "fifo" => Self::Fifo { name: w.name() },
            other => panic!("no operation {other}"),
        }
    }
}

impl Copy {
    fn parse(text: &str) -> Self {
        let mut words = Words(text.split_whitespace());
        let way = words.word();
        let after = |text: &str| text.parse().expect("a number");
        Self {
            way: match way.split_once('=') {
                Some(("cancel", number)) => Way::Cancel(after(number)),
                Some(("drop", number)) => Way::Drop(after(number)),
                _ if way == "call" => Way::Call,
                _ if way == "job" => Way::Job,
                _ if way == "progress" => Way::Progress,
                _ => panic!("no way {way}"),
            },
            sparse: words.word() == "sparse-copy",
            src: words.name(),
            dst: words.name(),
            options: Options::parse(words.word()),
        }
    }
}

impl Options {
    fn parse(text: &str) -> Self {
        let mut options = Self::default();
        for name in text.split(',').skip(1) {
            match name {
                "replace" => options.replace = true,
                "symlink-follow" => options.symlink_follow = true,
                "require-reflink" => options.require_reflink = true,
                "dig-holes" => options.dig_holes = true,
                "durable" => options.durable = true,
                "preserve-times" => options.preserve_times = true,
                other => {
                    let size = other.strip_prefix("size=").expect("an option");
                    options.size = Some(size.parse().expect("a number"));
                }
            }
        }
        options
    }
}
