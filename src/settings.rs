//! What a host allows the guest of a store.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use fast_copy_engine::{CopyOptions, FreeSpaceFloor, Limits, Sharing};

use crate::error::CallError;
use crate::hooks::CopyHooks;
use crate::options::Wanted;

/// The default limit on the apparent size of a source and of a copy: 16 TiB, the largest file of ext4 with blocks of
/// 4 KiB. Without a limit, a guest can create a sparse file of 8 EiB at no cost, and copy it to a place
/// where other tools fail on it.
pub const DEFAULT_MAX_SIZE: u64 = 16 << 40;

/// The default limit on the length of a path, in bytes. Linux refuses paths of more than 4095 bytes
/// (`PATH_MAX` counts a NUL at the end).
pub const DEFAULT_MAX_PATH: usize = 4096;

/// The default limit on the extents of a clone. A clone can't be interrupted, and it blocks writers of its
/// source: 50,000 extents took 1.1 s of processor time on XFS and 0.5 s on btrfs ([`Limits::max_clone_extents`]).
pub const DEFAULT_MAX_CLONE_EXTENTS: u64 = 50_000;

/// The default limit on the time that a call waits for its slot: as long as the calls before it may work.
pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(600);

/// The default limit on the time that a call works: enough for 60 GB at 100 MB/s, the speed of a hard disk.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The default limit on the calls of a store that run at once. Other calls wait.
pub const DEFAULT_MAX_COPIES: usize = 2;

/// The default limit on the calls of a store that wait. For one more the guest gets `busy`.
pub const DEFAULT_MAX_WAITING: usize = 64;

/// The default limit on the jobs of a store. For one more the guest gets `busy`.
pub const DEFAULT_MAX_JOBS: usize = 64;

/// The default limit on the resources `copy-options` that a guest holds. The constructor of one more traps.
pub const DEFAULT_MAX_OPTIONS: usize = 1000;

/// Which copies of a guest survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Those that the guest asks for by `set-durable`, which is the default in the WIT.
    #[default]
    GuestsChoice,
    /// All copies. `set-durable` has no effect.
    Always,
    /// None. No copy is synchronised, and each report says so.
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) max_path: usize,
    pub(crate) wait_timeout: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_workers: Option<NonZero<usize>>,
    pub(crate) durability: Durability,
    pub(crate) allow_sharing: bool,
    pub(crate) allow_replace: bool,
    pub(crate) permissions_mask: u32,
    pub(crate) refuse_wider_permissions: bool,
    pub(crate) lease_source: bool,
    pub(crate) allow_blocking_current_thread: bool,
    pub(crate) hooks: Option<Hooks>,
}

#[derive(Clone)]
pub(crate) struct Hooks(pub(crate) Arc<dyn CopyHooks>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn CopyHooks")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::new()
                .max_size(DEFAULT_MAX_SIZE)
                .max_clone_extents(DEFAULT_MAX_CLONE_EXTENTS)
                .free_space_floor(FreeSpaceFloor::DEFAULT),
            max_path: DEFAULT_MAX_PATH,
            wait_timeout: Some(DEFAULT_WAIT_TIMEOUT),
            timeout: Some(DEFAULT_TIMEOUT),
            max_workers: None,
            durability: Durability::default(),
            allow_sharing: true,
            allow_replace: true,
            permissions_mask: 0o777,
            refuse_wider_permissions: false,
            lease_source: false,
            allow_blocking_current_thread: false,
            hooks: None,
        }
    }
}

/// What a guest's copy may do, after the host's policy was applied.
pub(crate) struct Allowed {
    pub(crate) sharing: Sharing,
    pub(crate) durable: bool,
    /// Without deadline and control, which belong to the call.
    pub(crate) options: CopyOptions,
}

impl Settings {
    /// Applies the host's policy to what a guest asks for.
    pub(crate) fn allow(&self, sharing: Sharing, wanted: Wanted) -> Result<Allowed, CallError> {
        let durable = match self.durability {
            Durability::GuestsChoice => wanted.durable,
            Durability::Always => true,
            Durability::Never => false,
        };
        let mut options = CopyOptions::new()
            .replace(wanted.replace)
            .require_reflink(wanted.require_reflink)
            .dig_holes(wanted.dig_holes)
            .durable(durable)
            .preserve_times(wanted.preserve_times)
            .permissions_mask(self.permissions_mask)
            .refuse_wider_permissions(self.refuse_wider_permissions)
            .lease_source(self.lease_source)
            .limits(self.limits.clone());
        if let Some(size) = wanted.size {
            options = options.size(size);
        }
        if let Some(workers) = self.max_workers {
            options = options.max_workers(workers);
        }
        options.check(sharing)?;
        if wanted.replace && !self.allow_replace {
            return Err(CallError::Denied(
                "the host does not allow a copy to replace a file",
            ));
        }
        let sharing = match self.allow_sharing {
            true => sharing,
            false => without_sharing(wanted)?,
        };
        Ok(Allowed {
            sharing,
            durable,
            options,
        })
    }
}

/// Applies a decision of the host that a copy may not share blocks.
pub(crate) fn without_sharing(wanted: Wanted) -> Result<Sharing, CallError> {
    match wanted.require_reflink {
        false => Ok(Sharing::Forbidden),
        true => Err(CallError::NotShareable(
            "a reflink is required, but the host does not allow shared blocks",
        )),
    }
}
