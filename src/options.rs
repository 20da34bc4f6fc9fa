//! What a guest asks for.

use std::fmt;

use crate::admission::Place;

/// The host's side of the resource `copy-options`: what a guest has set.
pub struct GuestOptions {
    pub(crate) wanted: Wanted,
    /// Freed when the guest drops the resource.
    _place: Place,
}

impl GuestOptions {
    /// Creates options with their defaults.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            wanted: Wanted::default(),
            _place: place,
        }
    }
}

impl fmt::Debug for GuestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuestOptions").field(&self.wanted).finish()
    }
}

/// What a guest asks of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) replace: bool,
    pub(crate) symlink_follow: bool,
    pub(crate) require_reflink: bool,
    pub(crate) dig_holes: bool,
    pub(crate) durable: bool,
    pub(crate) size: Option<u64>,
    pub(crate) preserve_times: bool,
}

/// The defaults of the WIT.
impl Default for Wanted {
    fn default() -> Self {
        Self {
            replace: false,
            symlink_follow: false,
            require_reflink: false,
            dig_holes: false,
            durable: true,
            size: None,
            preserve_times: false,
        }
    }
}

/// Lists the options that differ from their defaults, by their names in the WIT.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (set, name) in [
            (self.replace, "replace"),
            (self.symlink_follow, "symlink-follow"),
            (self.require_reflink, "require-reflink"),
            (self.dig_holes, "dig-holes"),
            (!self.durable, "durable=false"),
            (self.preserve_times, "preserve-times"),
        ] {
            if set {
                write!(f, "{separator}{name}")?;
                separator = " ";
            }
        }
        match self.size {
            Some(size) => write!(f, "{separator}size={size}"),
            None => Ok(()),
        }
    }
}
