//! Checks what a power cut has left.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fast_copy_test_support::files::names;
use wasmtime_fast_copy::STAGING_PREFIX;

use super::cases::{COPIED_MODE, Destination, LINK, OLD_MODE, Source, TARGET, old};

/// What is at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The old file, or nothing if there was none.
    Before,
    Complete,
    /// Something else, with a description.
    Incomplete(String),
}

/// What must hold in every state.
pub struct Rules {
    pub destination: Destination,
    pub source: Source,
    /// The content of the source.
    pub content: Vec<u8>,
    pub may_leave_a_name: bool,
}

/// What is in the directory of a copy.
pub struct State {
    pub found: Found,
    /// Whether the destination has all permission bits that a copy gets.
    pub has_mode: bool,
    /// How many staging names there are.
    pub staging_names: usize,
}

impl Rules {
    /// Looks at the directory of a copy. Returns what is wrong there, whatever the copy's options.
    pub fn inspect(&self, dir: &Path) -> Result<State, String> {
        if self.destination == Destination::NewDirectory && !dir.exists() {
            return Ok(State {
                found: Found::Before,
                has_mode: false,
                staging_names: 0,
            });
        }
        let staging_names = self.check_names(dir)?;
        for name in [LINK, TARGET] {
            if names(dir).contains(&name.to_owned()) {
                let content =
                    fs::read(dir.join(name)).map_err(|error| format!("{name}: {error}"))?;
                require(content == old(), || format!("{name} has changed"))?;
            }
        }
        if self.source == Source::OnDisk {
            let content = fs::read(dir.join("src")).map_err(|error| format!("src: {error}"))?;
            require(content == self.content, || {
                "the source has changed".to_owned()
            })?;
        }
        let (found, mode) = self.look_at(&dir.join("dst"))?;
        if found != Found::Before {
            require(mode & !COPIED_MODE == 0, || format!("the mode is {mode:o}"))?;
        }
        Ok(State {
            found,
            has_mode: mode == COPIED_MODE,
            staging_names,
        })
    }

    /// Checks which names there are. Returns how many staging names.
    fn check_names(&self, dir: &Path) -> Result<usize, String> {
        let must = match self.destination {
            Destination::Absent => &["src"][..],
            Destination::NewDirectory => &[],
            Destination::File => &["src", "dst"],
            Destination::HardLinked => &["src", "dst", LINK],
            Destination::SymbolicLink => &["src", "dst", TARGET],
        };
        let found = names(dir);
        for name in must {
            require(found.contains(&(*name).to_owned()), || {
                format!("{name} is missing")
            })?;
        }
        let mut staging_names = 0;
        for name in &found {
            if is_staging_name(name) {
                staging_names += 1;
                let status =
                    fs::symlink_metadata(dir.join(name)).map_err(|error| error.to_string())?;
                let mode = status.mode() & 0o7777;
                require(mode & !COPIED_MODE == 0, || {
                    format!("{name} has the mode {mode:o}")
                })?;
            } else {
                let is_known = must.contains(&name.as_str())
                    || ["dst", self.source.name()].contains(&name.as_str());
                require(is_known, || format!("{name} is left"))?;
            }
        }
        let most = usize::from(self.may_leave_a_name);
        require(staging_names <= most, || {
            format!("{staging_names} staging names are left")
        })?;
        Ok(staging_names)
    }

    /// Returns what is at the destination, and its mode.
    fn look_at(&self, dst: &Path) -> Result<(Found, u32), String> {
        let status = match fs::symlink_metadata(dst) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // Whether it may be absent is checked with the names.
                return Ok((Found::Before, 0));
            }
            status => status.map_err(|error| format!("dst: {error}"))?,
        };
        let mode = status.mode() & 0o7777;
        if status.is_symlink() {
            let target = fs::read_link(dst).map_err(|error| format!("dst: {error}"))?;
            let is_old =
                self.destination == Destination::SymbolicLink && target == Path::new(TARGET);
            require(is_old, || format!("dst refers to {}", target.display()))?;
            return Ok((Found::Before, mode));
        }
        require(status.is_file(), || "dst is no file".to_owned())?;
        let content = fs::read(dst).map_err(|error| format!("dst: {error}"))?;
        if content == self.content {
            return Ok((Found::Complete, mode));
        }
        let was_a_file = [Destination::File, Destination::HardLinked].contains(&self.destination);
        if was_a_file && content == old() {
            require(mode == OLD_MODE, || {
                format!("the old file has the mode {mode:o}")
            })?;
            return Ok((Found::Before, mode));
        }
        let same = content
            .iter()
            .zip(&self.content)
            .take_while(|(a, b)| a == b)
            .count();
        let (found, expected) = (content.len(), self.content.len());
        Ok((
            Found::Incomplete(format!(
                "{found} bytes, expected {expected}, of which the first {same} are the same"
            )),
            mode,
        ))
    }
}

fn is_staging_name(name: &str) -> bool {
    name.strip_prefix(STAGING_PREFIX).is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(what()),
    }
}
