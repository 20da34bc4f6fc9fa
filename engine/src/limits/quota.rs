//! The byte budget of copies.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

/// A byte budget shared by all copies made with it, over its whole lifetime. Clones share the budget.
///
/// - **Charge.** A published copy is charged what its file system has allocated for it
///   ([`CopyReport::allocated`](crate::CopyReport::allocated)), or the bytes moved if that is more,
///   because some file systems allocate late. (A file system that allocates late after a clone, as ZFS
///   can, makes the charge for the clone too small.) A clone is charged too, although it takes no space
///   yet: writing to it later allocates space, and the quota is not checked then.
/// - **Reservation.** A clone reserves what its source has allocated; if the quota has no room for that, the
///   bytes are copied. A copy of the bytes reserves the same before it writes, or, if that does not fit, the
///   bytes that are known to be written. While it is made, it reserves more if it writes more, or if the file
///   system allocates more. A copy that finds no room fails with
///   [`QuotaExceeded`](crate::CopyErrorKind::QuotaExceeded), and nothing is published. What a
///   copy reserved and did not use is returned when it ends, however it ends.
/// - **Failed copies.** A failed copy is charged for what it leaves: a staged file that it could neither
///   truncate nor remove, or a copy that is in place, or may be
///   ([`CopyError::leftover`](crate::CopyError::leftover)).
/// - **Removal.** Nothing is returned when a copy is removed or replaced, unless the caller does it
///   ([`release`](Self::release)).
///
/// ```
/// use fast_copy_engine::{CopyOptions, CopyQuota, Limits};
///
/// # let dir = tempfile::tempdir()?;
/// # let (src, dst) = (dir.path().join("base.img"), dir.path().join("vm1.img"));
/// # std::fs::write(&src, "an image")?;
/// let quota = CopyQuota::new(10 << 30);
/// let options = CopyOptions::new().limits(Limits::new().quota(quota.clone()));
/// let report = options.fast_copy(src, dst)?;
/// assert_eq!(quota.used(), report.allocated.max(report.copied));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CopyQuota {
    account: Arc<Mutex<Account>>,
}

/// All in bytes.
#[derive(Debug)]
struct Account {
    limit: u64,
    used: u64,
    reserved: u64,
}

impl CopyQuota {
    /// Creates a quota of `limit` bytes, with nothing used.
    pub fn new(limit: u64) -> Self {
        Self {
            account: Arc::new(Mutex::new(Account {
                limit,
                used: 0,
                reserved: 0,
            })),
        }
    }

    /// Returns the limit in bytes.
    pub fn limit(&self) -> u64 {
        self.account().limit
    }

    /// Sets the limit. Charges and reservations stay as they are, even if they exceed it.
    pub fn set_limit(&self, bytes: u64) {
        self.account().limit = bytes;
    }

    /// Returns how many bytes published copies were charged.
    pub fn used(&self) -> u64 {
        self.account().used
    }

    /// Returns how many bytes running copies have reserved.
    pub fn reserved(&self) -> u64 {
        self.account().reserved
    }

    /// Returns `bytes` to the budget. Call it with the charge of a copy that was removed.
    pub fn release(&self, bytes: u64) {
        let mut account = self.account();
        account.used = account.used.saturating_sub(bytes);
    }

    /// Sets the charge for published copies to 0.
    pub fn reset(&self) {
        self.account().used = 0;
    }

    /// Creates an empty reservation.
    pub(crate) fn open(&self) -> Reservation {
        Reservation {
            quota: self.clone(),
            bytes: Mutex::new(0),
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

/// The bytes that one copy has reserved. Dropping it returns them.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: CopyQuota,
    bytes: Mutex<u64>,
}

impl Reservation {
    /// Reserves at least `total` bytes in all. False if the quota has no room for them.
    pub(crate) fn cover(&self, total: u64) -> bool {
        let mut bytes = lock(&self.bytes);
        let more = total.saturating_sub(*bytes);
        let mut account = self.quota.account();
        let taken = account.used.saturating_add(account.reserved);
        if more > account.limit.saturating_sub(taken) {
            return false;
        }
        account.reserved += more;
        *bytes += more;
        true
    }

    /// Returns all bytes that are reserved.
    pub(crate) fn give_back(&self) {
        let mut bytes = lock(&self.bytes);
        self.quota.account().reserved -= mem::take(&mut *bytes);
    }

    /// Turns the reservation into a charge of `total` bytes, which it covers, and returns the rest.
    pub(crate) fn charge(self, total: u64) {
        let mut bytes = lock(&self.bytes);
        let mut account = self.quota.account();
        account.used = account.used.saturating_add(total);
        account.reserved -= mem::take(&mut *bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let bytes = *lock(&self.bytes);
        self.quota.account().reserved -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_reservations_are_returned() {
        let quota = CopyQuota::new(100);
        let first = quota.open();
        assert!(first.cover(60));
        assert!(first.cover(10), "60 bytes are reserved already");
        let second = quota.open();
        assert!(!second.cover(41));
        assert!(second.cover(40));
        assert_eq!((quota.used(), quota.reserved()), (0, 100));
        first.charge(50);
        assert_eq!((quota.used(), quota.reserved()), (50, 40));
        drop(second);
        assert_eq!((quota.used(), quota.reserved()), (50, 0));
    }

    #[test]
    fn a_limit_below_the_charges_admits_no_copy() {
        let quota = CopyQuota::new(u64::MAX);
        let copy = quota.open();
        assert!(copy.cover(u64::MAX));
        assert!(copy.cover(7));
        copy.charge(u64::MAX);
        quota.set_limit(10);
        assert!(!quota.open().cover(1));
        assert!(quota.open().cover(0));
        quota.release(u64::MAX - 4);
        assert_eq!(quota.used(), 4);
        assert!(!quota.open().cover(7));
        quota.reset();
        assert!(quota.open().cover(10));
        quota.release(1);
        assert_eq!(quota.used(), 0);
    }
}
