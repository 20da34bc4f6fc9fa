//! Free space that copies leave.

use crate::platform::status::Space;

/// Free space that must remain on the destination's file system. A copy that would leave less fails
/// with [`InsufficientSpace`](crate::CopyErrorKind::InsufficientSpace), and nothing is published.
///
/// The floor is a percentage of the file system's size, a number of bytes, or the smaller of both.
///
/// The free space is checked before a copy begins, before bytes are moved (they must fit too), and
/// every 16 MiB. So each concurrent copy can overshoot the floor by up to 16 MiB.
///
/// Free space is what an unprivileged process may still write (`f_bavail` of `statvfs(3)`), as far as
/// the file system knows it:
///
/// - btrfs updates it when it commits, every 30 s.
/// - XFS reserves space for the block map of data that is not on the disk yet, for the worst case, and
///   returns it later. At the end of a copy of 1,000,000 extents of 4 KiB, which takes 4 GiB, `statvfs`
///   reported 11 GiB more in use.
/// - A file system that does not report its size (a tmpfs without a size) has no floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpaceFloor {
    percent: u8,
    bytes: u64,
}

impl FreeSpaceFloor {
    /// No floor.
    pub const NONE: Self = Self::new(0, 0);

    /// 5 % or 1 GiB, whichever is less.
    pub const DEFAULT: Self = Self::new(5, 1 << 30);

    /// Creates a floor of `percent` of the file system's size, but at most `bytes`. A 0 means no floor.
    pub const fn new(percent: u8, bytes: u64) -> Self {
        Self { percent, bytes }
    }

    /// Creates a floor of so many bytes. 0 means no floor. On a smaller file system nothing can be copied.
    pub const fn of_bytes(bytes: u64) -> Self {
        Self::new(100, bytes)
    }

    /// Creates a floor of `percent` of the file system's size. 0 means no floor.
    pub const fn of_percent(percent: u8) -> Self {
        Self::new(percent, u64::MAX)
    }

    /// Returns the percentage of the file system's size.
    pub const fn percent(self) -> u8 {
        self.percent
    }

    /// Returns the upper bound on the floor, in bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    pub(super) fn is_none(self) -> bool {
        self.bytes == 0 || self.percent == 0
    }

    /// Returns the floor in bytes on a file system of `size` bytes.
    fn on(self, size: u64) -> u64 {
        let share = u128::from(size) * u128::from(self.percent) / 100;
        u64::try_from(share).unwrap_or(u64::MAX).min(self.bytes)
    }

    /// Whether the floor stays free when `needed` more bytes are written.
    pub(super) fn allows(self, space: Space, needed: u64) -> bool {
        space.size == 0 || space.free.saturating_sub(needed) >= self.on(space.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_percent_and_bytes_stays_free() {
        let floor = FreeSpaceFloor::DEFAULT;
        assert_eq!(floor.on(100 << 20), 5 << 20);
        assert_eq!(floor.on(1 << 50), 1 << 30);
        assert_eq!(FreeSpaceFloor::NONE.on(u64::MAX), 0);
        let space = Space {
            size: 1000,
            free: 60,
        };
        assert!(floor.allows(space, 10));
        assert!(!floor.allows(space, 11));
        assert!(!floor.allows(space, 100));
        assert!(FreeSpaceFloor::NONE.allows(space, 1000));
        assert!(floor.allows(Space { size: 0, free: 0 }, u64::MAX));
    }
}
