//! `--dir`: the directories of a guest.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use wasmtime_wasi::FsPerms;

const FORMS: &str = "write HOST, HOST:ro, HOST::GUEST or HOST::GUEST:ro";

/// A directory of the host that a guest sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Preopen {
    pub host: PathBuf,
    pub guest: String,
    pub perms: FsPerms,
}

impl FromStr for Preopen {
    type Err = String;

    /// Parses `HOST[::GUEST][:ro]`. Neither name may have a colon.
    fn from_str(spelling: &str) -> Result<Self, String> {
        let end = spelling.find(':').unwrap_or(spelling.len());
        let (host, rest) = spelling.split_at(end);
        let (guest, perms) = match rest.strip_prefix("::") {
            None if rest.is_empty() => (host, FsPerms::ReadWrite),
            None if rest == ":ro" => (host, FsPerms::ReadOnly),
            None => {
                return Err(format!(
                    "one colon may only stand before 'ro' at the end; {FORMS}"
                ));
            }
            Some("ro") => {
                return Err(format!(
                    "write '{host}:ro' to make it read-only, or '{host}::./ro' to name it 'ro'"
                ));
            }
            Some(named) => match named.split_once(':') {
                None => (named, FsPerms::ReadWrite),
                Some((guest, "ro")) => (guest, FsPerms::ReadOnly),
                Some((_, suffix)) => return Err(format!("unknown suffix ':{suffix}'; {FORMS}")),
            },
        };
        if host.is_empty() || guest.is_empty() {
            let part = if host.is_empty() { "HOST" } else { "GUEST" };
            return Err(format!("{part} is empty; {FORMS}"));
        }
        Ok(Self {
            host: host.into(),
            guest: guest.to_owned(),
            perms,
        })
    }
}

/// Returns the first guest's name that an earlier directory also has. `a`, `/a`, `a/` and `./a` are
/// one name for guests.
pub fn repeated_name(dirs: &[Preopen]) -> Option<&str> {
    let repeated = dirs.iter().enumerate().find(|(i, dir)| {
        let mut earlier = dirs[..*i].iter();
        earlier.any(|other| parts(other).eq(parts(dir)))
    });
    repeated.map(|(_, dir)| &*dir.guest)
}

fn parts(dir: &Preopen) -> impl Iterator<Item = Component<'_>> {
    let parts = Path::new(&dir.guest).components();
    parts.filter(|part| !matches!(part, Component::CurDir | Component::RootDir))
}
