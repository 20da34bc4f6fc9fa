//! What a guest asks for.

use std::fmt;

/// The options of a guest's copy, as the host's own type. Each front converts its flags to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GuestOptions {
    pub(crate) replace: bool,
    pub(crate) symlink_follow: bool,
    pub(crate) require_reflink: bool,
    pub(crate) dig_holes: bool,
    pub(crate) no_sync: bool,
}

/// Lists the options that are set, by their names in the WIT.
impl fmt::Display for GuestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [
            (self.replace, "replace"),
            (self.symlink_follow, "symlink-follow"),
            (self.require_reflink, "require-reflink"),
            (self.dig_holes, "dig-holes"),
            (self.no_sync, "no-sync"),
        ];
        let mut names = set.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
        if let Some(first) = names.next() {
            f.write_str(first)?;
        }
        names.try_for_each(|name| write!(f, " {name}"))
    }
}
