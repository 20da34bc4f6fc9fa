//! What a guest does, as libFuzzer makes it up.

use super::model::Content;

/// The directories that are open: the whole one, the same for reading only, the one in it, and two handles that are
/// no directory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Base {
    Whole,
    ReadOnly,
    Inner,
    File,
    Unknown,
}

impl Base {
    /// Returns the name of the directory in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inner => "d",
            _ => "",
        }
    }
}

/// A path: of a file, made of names that exist, or any text.
#[derive(Clone, Debug)]
pub enum PathText {
    File(Changed),
    Names(Vec<Name>),
    Any(String),
    /// A name of so many bytes, after a directory.
    Long(u16),
}

#[derive(Clone, Copy, Debug)]
pub struct Name(pub u8);

const NAMES: [&str; 22] = [
    "a",
    "b",
    "c",
    "h",
    "d",
    "x",
    "y",
    "l",
    "lx",
    "inner",
    "dangling",
    "loop",
    "up",
    "out",
    "root",
    "fifo",
    "..",
    ".",
    "",
    "x\0y",
    ".fast-copy-",
    "é\n",
];

impl PathText {
    pub fn text(&self) -> String {
        match self {
            Self::File(file) => file.name().to_owned(),
            Self::Names(names) => {
                let names = names
                    .iter()
                    .map(|name| NAMES[name.0 as usize % NAMES.len()]);
                names.collect::<Vec<_>>().join("/")
            }
            Self::Any(text) => text.clone(),
            Self::Long(bytes) => format!("d/{}", "n".repeat((bytes % 5000).into())),
        }
    }
}

#[derive(Clone, Debug)]
pub struct At {
    pub base: Base,
    pub path: PathText,
}

#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub replace: bool,
    pub symlink_follow: bool,
    pub require_reflink: bool,
    pub dig_holes: bool,
    pub not_durable: bool,
    pub preserve_times: bool,
    pub size: Option<Size>,
}

#[derive(Clone, Copy, Debug)]
pub enum Size {
    Small(u16),
    Huge,
}

impl Size {
    pub fn bytes(self) -> u64 {
        match self {
            Self::Small(bytes) => bytes.into(),
            Self::Huge => u64::MAX,
        }
    }
}

/// How a copy is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Call,
    Job,
    /// The guest cancels the job at once, and gets its outcome.
    CancelledJob,
    /// The guest drops the job at once.
    DroppedJob,
}

#[derive(Debug)]
pub struct Copy {
    pub sparse: bool,
    pub src: At,
    pub dst: At,
    pub wanted: Wanted,
    pub way: Way,
}

/// A file that the guest writes: blocks filled with a byte, of which 0 is a hole, and a rest.
#[derive(Debug)]
pub struct Written {
    pub blocks: [u8; 6],
    pub count: u8,
    pub rest: u16,
    pub mode: u8,
}

pub const BLOCK: usize = 4096;

impl Written {
    pub fn content(&self) -> Content {
        let mut bytes = Vec::new();
        let count = usize::from(self.count) % (self.blocks.len() + 1);
        for &fill in &self.blocks[..count] {
            bytes.resize(bytes.len() + BLOCK, fill);
        }
        bytes.resize(bytes.len() + usize::from(self.rest) % BLOCK, 0x55);
        let modes = [0o644, 0o600, 0o755, 0o4755, 0o2750, 0o440];
        let mode = modes[usize::from(self.mode) % modes.len()];
        Content { bytes, mode }
    }
}

/// The names of files that a guest changes.
#[derive(Clone, Copy, Debug)]
pub struct Changed(pub u8);

impl Changed {
    pub fn name(self) -> &'static str {
        let names = ["a", "b", "c", "h", "d/x", "d/y"];
        names[usize::from(self.0) % names.len()]
    }
}

#[derive(Debug)]
pub enum Step {
    Copy(Copy),
    DiskUsage(At),
    SummarizeExtents(At),
    DataRanges(At, u16),
    CanReflink(Base, Base),
    Write(Changed, Written),
    Remove(Changed),
    Link(Changed, Name),
    HardLink(Changed, Changed),
    /// Allows so many bytes more than are used.
    Quota(Option<u16>),
}

impl Name {
    /// Returns a name for the target of a symbolic link.
    pub fn target(self) -> &'static str {
        match NAMES[self.0 as usize % NAMES.len()] {
            "" | "x\0y" => "a",
            name => name,
        }
    }
}
