//! How much of a file system is to stay free.

/// How much room copies leave on the destination's file system: a copy that finds less fails with
/// [`InsufficientSpace`](crate::CopyErrorKind::InsufficientSpace), and nothing is published.
///
/// The floor is the smaller of the two fields. For one in bytes alone set `percent` to 100; 0 in
/// either is no floor.
///
/// It is looked at before a copy begins, before bytes are moved, where they must fit too, and every
/// 16 MiB: several copies at once can each write so much beyond it.
///
/// What counts is what a process without privileges may still write (`f_bavail` of `statvfs(3)`), as
/// far as the file system knows: btrfs tells of what was written when it commits, which it does every
/// 30 s. XFS sets room aside for the block map of data that is not on the disk yet, as much as could be
/// needed at worst, and gives it back once it is: at the end of a copy of 1,000,000 extents of 4 KiB,
/// which takes 4 GiB, `statvfs` told of 11 GiB more in use. A file system that doesn't say how large it is (a tmpfs without a size) has no floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpaceFloor {
    /// Percentage of the file system's size.
    pub percent: u8,
    /// Upper bound on the floor, in bytes.
    pub bytes: u64,
}

impl FreeSpaceFloor {
    /// No floor.
    pub const NONE: Self = Self {
        percent: 0,
        bytes: 0,
    };

    /// 5 % or 1 GiB, whichever is less.
    pub const DEFAULT: Self = Self {
        percent: 5,
        bytes: 1 << 30,
    };

    /// In bytes, on a file system of this size.
    pub(super) fn on(self, size: u64) -> u64 {
        let share = u128::from(size) * u128::from(self.percent) / 100;
        u64::try_from(share).unwrap_or(u64::MAX).min(self.bytes)
    }
}

/// The size of a file system, and what of it may still be written, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) size: u64,
    pub(super) free: u64,
}

impl Room {
    /// Whether `needed` bytes more leave the floor free.
    pub(super) fn allows(self, needed: u64, floor: FreeSpaceFloor) -> bool {
        self.size == 0 || self.free.saturating_sub(needed) >= floor.on(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_share_and_bytes_stays_free() {
        let floor = FreeSpaceFloor::DEFAULT;
        assert_eq!(floor.on(100 << 20), 5 << 20);
        assert_eq!(floor.on(1 << 50), 1 << 30);
        assert_eq!(FreeSpaceFloor::NONE.on(u64::MAX), 0);
        let room = Room {
            size: 1000,
            free: 60,
        };
        assert!(room.allows(10, floor));
        assert!(!room.allows(11, floor));
        assert!(!room.allows(100, floor));
        assert!(room.allows(1000, FreeSpaceFloor::NONE));
        assert!(Room { size: 0, free: 0 }.allows(u64::MAX, floor));
    }
}
