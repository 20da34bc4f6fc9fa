//! What threads do with a `CopyControl`, and what must hold.

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::control::{CopyControl, Unusable};
use crate::sync::Arc;

/// A thread publishes a copy, and two cancel it.
///
/// Either the copy is published, and both cancels return false, or it is not, and a cancel returned true. No cancel
/// returns true for a published copy.
pub fn cancel_or_publish() {
    let control = CopyControl::new();
    let cancels = [(); 2].map(|()| {
        let control = control.clone();
        thread::spawn(move || control.cancel())
    });
    let is_published = control.begin(1).is_ok() && control.begin_publishing();
    let cancels = cancels.map(|cancel| cancel.join().unwrap());
    assert_ne!(is_published, cancels.contains(&true));
    assert_ne!(is_published, control.is_cancelled());
}

/// A thread publishes a copy, goes back before the point of no return, and publishes it again. Another one cancels it.
///
/// The copy is not published if a cancel returned true, nor if a cancel of any result returned before it is published.
pub fn cancel_again() {
    let control = CopyControl::new();
    let returned = Arc::new(AtomicBool::new(false));
    let cancel = {
        let (control, returned) = (control.clone(), returned.clone());
        thread::spawn(move || {
            let is_cancelled = control.cancel();
            returned.store(true, Ordering::Release);
            is_cancelled
        })
    };
    let mut is_published = control.begin(1).is_ok() && control.begin_publishing();
    if is_published {
        control.retract_publishing();
        let was_cancelled = returned.load(Ordering::Acquire);
        is_published = control.begin_publishing();
        assert!(!(is_published && was_cancelled), "a cancel is lost");
    }
    let was_cancelled = cancel.join().unwrap();
    assert!(!(is_published && was_cancelled), "cancelled and published");
    assert_ne!(is_published, control.is_cancelled());
}

/// A copy ends without being published, while a thread cancels it.
///
/// The cancel returns true if and only if the copy counts as cancelled.
pub fn cancel_a_failure() {
    let control = CopyControl::new();
    let cancelling = control.clone();
    let cancel = thread::spawn(move || cancelling.cancel());
    let begun = control.begin(1);
    control.end();
    let was_cancelled = cancel.join().unwrap();
    assert_eq!(was_cancelled, control.is_cancelled());
    assert!(was_cancelled || begun.is_ok());
}

/// Two threads begin a copy with the same handle, and a third one cancels it.
///
/// At most one begins. One that does not either finds the handle used or cancelled.
pub fn use_twice() {
    let control = CopyControl::new();
    let [first, cancel] = [true, false].map(|begins| {
        let control = control.clone();
        thread::spawn(move || match begins {
            true => control.begin(1),
            false => {
                control.cancel();
                Ok(())
            }
        })
    });
    let begun = [control.begin(2), first.join().unwrap()];
    cancel.join().unwrap().unwrap();
    let used = |begin: &&Result<(), Unusable>| **begin == Err(Unusable::Used);
    assert_eq!(begun.iter().filter(used).count(), 1, "{begun:?}");
    assert!(
        control.is_cancelled(),
        "a handle that is not published stays cancelled"
    );
}
