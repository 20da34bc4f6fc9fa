//! A user namespace (user_namespaces(7)), in which an ordinary user can mount tmpfs and directories.
//!
//! The user keeps their IDs there, and the tests have no capabilities: what a copy may do is what it may do
//! outside. Only [`mounting`] uses one capability, for its own thread.

use std::fs;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags, capabilities,
    clear_ambient_capability_set, configure_capability_in_ambient_set, set_capabilities,
    set_capabilities_secure_bits,
};

use crate::namespace::unshare;

/// The capability to mount (capabilities(7)).
const MOUNT: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Enters a new user namespace, and other new namespaces that belong to it. The next program that this process
/// executes there can mount. Returns the reason if that fails.
pub fn enter(others: UnshareFlags) -> Result<(), String> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | others).map_err(|error| match error {
        Errno::NOSPC => "user.max_user_namespaces are reached".to_owned(),
        _ => format!("unshare: {error}"),
    })?;
    // An ordinary user may map their group only if `setgroups` is denied.
    for (file, content) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{uid} {uid} 1")),
        ("gid_map", format!("{gid} {gid} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), content)
            .map_err(|error| format!("{file}: {error}"))?;
    }
    keep_mount_on_exec().map_err(|error| format!("capabilities: {error}"))
}

/// Lets an executed program have the capability to mount, and no other one, also if the user is root of an outer
/// user namespace.
fn keep_mount_on_exec() -> rustix::io::Result<()> {
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT)?;
    let sets = capabilities(None)?;
    let inheritable = MOUNT;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable,
            ..sets
        },
    )?;
    configure_capability_in_ambient_set(MOUNT, true)
}

/// Gives the capability up, for this process and what it executes, except in [`mounting`].
pub fn mount_on_request_only() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: MOUNT,
        inheritable: none,
    };
    set_capabilities(None, sets)
}

/// Mounts or unmounts something, with the capability to do so if this thread has it. Other threads, and programs
/// that they execute meanwhile, don't get it.
pub fn mounting<T>(work: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let before = capabilities(None)?;
    let effective = before.effective | (before.permitted & MOUNT);
    set_capabilities(
        None,
        CapabilitySets {
            effective,
            ..before
        },
    )?;
    let result = work();
    set_capabilities(None, before)?;
    result
}

/// Whether this process may do as root does: change its user, and ignore permissions of files.
pub fn is_privileged() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::DAC_OVERRIDE;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Whether this process is root in the first user namespace, which maps all IDs.
pub fn is_root_of_the_machine() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}
