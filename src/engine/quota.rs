//! How much room copies may take together.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use super::lock::lock;

/// How many bytes the copies made with it may take together, in the whole time that it lives.
///
/// A copy is charged what its file system has allocated for it
/// ([`CopyReport::allocated`](crate::CopyReport::allocated)), or the bytes moved where those are more,
/// since some file systems allocate late (one that is late with a clone, as ZFS can be, has it charged
/// too little). A clone is charged too, although it takes nothing yet:
/// whoever rewrites a clone takes the room later, and nobody asks then. Nothing is given back
/// when a copy is removed or replaced, unless the host does ([`release`](Self::release)).
///
/// Before a copy begins, what its source has allocated is reserved, and more while it is made if that
/// was too little. A copy that finds no room fails with
/// [`InsufficientSpace`](crate::CopyErrorKind::InsufficientSpace), and nothing is published. What a
/// copy reserved and didn't use goes back when it ends, however it ends.
///
/// Clones share the same account.
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
    /// A quota of `limit` bytes, of which nothing is used.
    pub fn new(limit: u64) -> Self {
        Self {
            account: Arc::new(Mutex::new(Account {
                limit,
                used: 0,
                reserved: 0,
            })),
        }
    }

    /// How many bytes copies may take.
    pub fn limit(&self) -> u64 {
        self.account().limit
    }

    /// Sets the limit. Copies that are complete or have reserved their room keep it.
    pub fn set_limit(&self, bytes: u64) {
        self.account().limit = bytes;
    }

    /// What complete copies were charged, in bytes.
    pub fn used(&self) -> u64 {
        self.account().used
    }

    /// What copies that are being made have reserved, in bytes.
    pub fn reserved(&self) -> u64 {
        self.account().reserved
    }

    /// Gives back what a copy was charged, in bytes, for a host that knows that it was removed.
    pub fn release(&self, bytes: u64) {
        let mut account = self.account();
        account.used = account.used.saturating_sub(bytes);
    }

    /// Forgets what complete copies were charged.
    pub fn reset(&self) {
        self.account().used = 0;
    }

    /// A reservation of nothing yet.
    pub(super) fn open(&self) -> Reservation {
        Reservation {
            quota: self.clone(),
            bytes: Mutex::new(0),
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

/// The room that one copy has reserved. Dropped, it goes back.
#[derive(Debug)]
pub(super) struct Reservation {
    quota: CopyQuota,
    bytes: Mutex<u64>,
}

impl Reservation {
    /// Sees to it that at least `total` bytes are reserved, or says that there is no room for them.
    pub(super) fn cover(&self, total: u64) -> bool {
        let mut bytes = lock(&self.bytes);
        let more = total.saturating_sub(*bytes);
        let mut account = self.quota.account();
        let taken = account.used.saturating_add(account.reserved);
        if more > account.limit.saturating_sub(taken) {
            return more == 0;
        }
        account.reserved += more;
        *bytes += more;
        true
    }

    /// Turns the reservation into a charge of `total` bytes, which it covers. The rest goes back.
    pub(super) fn charge(self, total: u64) {
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
    fn what_is_reserved_and_not_used_goes_back() {
        let quota = CopyQuota::new(100);
        let first = quota.open();
        assert!(first.cover(60));
        assert!(first.cover(10), "it has more than that");
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
    fn a_limit_below_what_is_used_lets_nothing_more_in() {
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
