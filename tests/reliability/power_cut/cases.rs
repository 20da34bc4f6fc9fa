//! The copies that are recorded: each strategy, onto each kind of destination, durable or not.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use fast_copy_test_support::files::{KIB, MIB, sparse_file, write_data};
use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::strategies::{Strategy, strategies_on};
use fast_copy_test_support::traced::{Call, Copy};

/// The strategies that leave different things to write. The others write as one of these does.
const STRATEGIES: [&str; 5] = [
    "clone",
    "offload",
    "reading and writing",
    "staged under a name",
    "clone staged under a name",
];

/// The permission bits of the source, with set-user-ID, which no copy gets.
const SOURCE_MODE: u32 = 0o4751;
pub const COPIED_MODE: u32 = 0o751;

pub const OLD_MODE: u32 = 0o640;

/// The name of the file that a symbolic link at the destination refers to.
pub const TARGET: &str = "target";

/// Another name of the file at the destination.
pub const LINK: &str = "link";

/// What is at the destination before the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Absent,
    /// Nothing, in a directory that was made just before the copy, in another such one. Neither is on the disk.
    NewDirectory,
    File,
    /// A file with another hard link.
    HardLinked,
    SymbolicLink,
}

impl Destination {
    pub const ALL: [Self; 5] = [
        Self::Absent,
        Self::NewDirectory,
        Self::File,
        Self::HardLinked,
        Self::SymbolicLink,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::NewDirectory => "new/directory",
            Self::File => "file",
            Self::HardLinked => "hard-linked",
            Self::SymbolicLink => "symbolic-link",
        }
    }

    /// Makes a directory with a source and with the destination in it.
    fn prepare(self, dir: &Path) {
        fs::create_dir(dir).unwrap();
        Source::OnDisk.make(dir);
        let (dst, old) = (dir.join("dst"), old());
        let write = |name: &str| {
            fs::write(dir.join(name), &old).unwrap();
            fs::set_permissions(dir.join(name), PermissionsExt::from_mode(OLD_MODE)).unwrap();
        };
        match self {
            Self::Absent | Self::NewDirectory => {}
            Self::File => write("dst"),
            Self::HardLinked => {
                write("dst");
                fs::hard_link(&dst, dir.join(LINK)).unwrap();
            }
            Self::SymbolicLink => {
                write(TARGET);
                symlink(TARGET, &dst).unwrap();
            }
        }
    }
}

/// Makes a directory for each kind of destination that is in an old one.
pub fn prepare(root: &Path) {
    for destination in Destination::ALL {
        if destination == Destination::NewDirectory {
            continue;
        }
        destination.prepare(&root.join(destination.name()));
    }
}

/// Returns the content of the old file.
pub fn old() -> Vec<u8> {
    b"old\n".repeat(1500)
}

/// The bytes of data in a source on the disk, in whole blocks.
const DATA: u64 = 296 * KIB;

/// The source of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    OnDisk,
    /// It was written just before the copy, and is not on the disk.
    InMemory,
    /// The same, with so few bytes that btrfs stores them in its tree.
    Short,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDisk => "src",
            Self::InMemory => "fresh",
            Self::Short => "short",
        }
    }

    /// Makes the source.
    fn make(self, dir: &Path) {
        let path = dir.join(self.name());
        if self == Self::Short {
            fs::write(&path, [b's'; 100]).unwrap();
        } else {
            let end = MIB + 64 * KIB;
            let data = [0..96 * KIB, 256 * KIB..260 * KIB, 512 * KIB..704 * KIB];
            sparse_file(&path, end, &data);
            let file = File::options().write(true).open(&path).unwrap();
            write_data(&file, end..end + 1);
            // The data of the two differs.
            file.write_all_at(self.name().as_bytes(), 100).unwrap();
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(SOURCE_MODE)).unwrap();
    }
}

/// One copy.
#[derive(Clone, Copy)]
pub struct Case {
    pub strategy: &'static Strategy,
    pub destination: Destination,
    pub source: Source,
    pub durable: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.durable {
            "durable"
        } else {
            "not durable"
        };
        write!(
            f,
            "{}, {durable}, source {:?}, destination {:?}",
            self.strategy.name, self.source, self.destination
        )
    }
}

impl Case {
    /// Returns all copies on a file system.
    pub fn all(fs: &FileSystem) -> Vec<Self> {
        let mut cases = Vec::new();
        for strategy in strategies_on(fs).filter(|one| STRATEGIES.contains(&one.name)) {
            for destination in Destination::ALL {
                for source in [Source::OnDisk, Source::InMemory, Source::Short] {
                    // The source is made in the same directory.
                    if destination == Destination::NewDirectory && source == Source::OnDisk {
                        continue;
                    }
                    // Then the bytes are read and written.
                    if strategy.name == "offload" && source != Source::OnDisk {
                        continue;
                    }
                    cases.extend([true, false].map(|durable| Self {
                        strategy,
                        destination,
                        source,
                        durable,
                    }));
                }
            }
        }
        cases
    }

    /// Returns a few copies with each strategy, each kind of destination and each kind of source.
    pub fn some(fs: &FileSystem) -> Vec<Self> {
        use {Destination as D, Source as S};
        let of_each = [(D::Absent, S::OnDisk, true), (D::File, S::OnDisk, true)];
        let of_first = [
            (D::Absent, S::InMemory, true),
            (D::HardLinked, S::InMemory, true),
            (D::SymbolicLink, S::Short, true),
            (D::NewDirectory, S::InMemory, true),
            (D::Absent, S::Short, false),
            (D::File, S::InMemory, false),
        ];
        let all = Self::all(fs);
        let first = match fs.reflinks() {
            true => "clone",
            false => "reading and writing",
        };
        let is_one = |case: &Case| {
            let this = (case.destination, case.source, case.durable);
            of_each.contains(&this) || (case.strategy.name == first && of_first.contains(&this))
        };
        all.into_iter().filter(is_one).collect()
    }

    /// Returns a durable copy of new bytes to an absent destination, which are read and written.
    pub fn read_and_written(fs: &FileSystem) -> Self {
        let is_it = |case: &Self| {
            let this = (case.strategy.name, case.destination, case.source);
            this == ("reading and writing", Destination::Absent, Source::InMemory) && case.durable
        };
        Self::all(fs)
            .into_iter()
            .find(is_it)
            .expect("every file system has it")
    }

    /// Whether a power cut may leave a staging name, as the contract allows.
    pub fn may_leave_a_name(&self, fs: &FileSystem) -> bool {
        self.strategy.named || self.replaces() || (self.durable && fs.names_before_sync())
    }

    /// Whether there is something at the destination.
    pub fn replaces(&self) -> bool {
        ![Destination::Absent, Destination::NewDirectory].contains(&self.destination)
    }

    fn options(&self) -> Vec<&'static str> {
        let mut options = self.strategy.options.to_vec();
        if self.replaces() {
            options.push("replace");
        }
        if !self.durable {
            options.push("no-sync");
        }
        options
    }

    /// Returns the injections that force the strategy. Finds out at which call, by a copy on a file system of the
    /// same kind.
    pub fn injections(&self, fs: &FileSystem) -> Vec<String> {
        let mut injections: Vec<_> = self
            .strategy
            .injections
            .iter()
            .map(|&one| one.into())
            .collect();
        if self.strategy.named {
            let dir = fs.dir();
            self.destination.prepare(&dir.path().join("copy"));
            let (src, dst) = (dir.path().join("copy/src"), dir.path().join("copy/dst"));
            let options = self.options();
            let number = Copy::new(self.strategy.function, &src, &dst)
                .options(&options)
                .number_of("openat", "O_TMPFILE");
            injections.push(format!("openat:error=EOPNOTSUPP:when={number}"));
        }
        injections
    }

    /// Makes the copy in the directory of its destination. Returns the content of the copy.
    pub fn run(&self, dir: &Path, injections: &[&str]) -> Vec<u8> {
        let (src, dst) = (dir.join(self.source.name()), dir.join("dst"));
        if self.destination == Destination::NewDirectory {
            fs::create_dir_all(dir).unwrap();
        }
        if self.source != Source::OnDisk {
            self.source.make(dir);
        }
        // This brings it into the page cache, without which nothing is offloaded.
        let content = fs::read(&src).unwrap();
        let options = self.options();
        let copy = Copy::new(self.strategy.function, &src, &dst).options(&options);
        let (outcome, calls) = copy.calls(injections);
        assert!(matches!(outcome, Outcome::Ok(..)), "{self}: {outcome:?}");
        let size = content.len() as u64;
        // What is not on the disk yet is not moved as the strategy says.
        if self.source == Source::OnDisk
            && let Err(missing) = (self.strategy.check)(&outcome, &calls, DATA, size)
        {
            panic!("{self}: {missing}: {outcome:?}, {:#?}", lines(&calls));
        }
        let has_name = calls.iter().any(|call| call.line.contains("O_EXCL"));
        assert_eq!(
            has_name,
            self.strategy.named,
            "{self}: {:#?}",
            lines(&calls)
        );
        content
    }
}

/// Returns the beginning of the line of each call.
fn lines(calls: &[Call]) -> Vec<String> {
    calls
        .iter()
        .map(|call| call.line.chars().take(120).collect())
        .collect()
}
