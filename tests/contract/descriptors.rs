//! How many descriptors a copy needs: the source, the directory of the destination, that directory
//! again to synchronise it, the staged file, and a duplicate of that, to be closed at the end. In all tests,
//! children also check that their copy has closed its descriptors, however it ended.

use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::prepared;

fast_copy_test_support::tests![
    a_copy_needs_five_free_descriptors_and_fails_cleanly_with_fewer where Holes and Preallocation and Permissions,
];

const ENOUGH: u64 = 5;

fn a_copy_needs_five_free_descriptors_and_fails_cleanly_with_fewer(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let name = prepared.strategy.name;
        for free in 0..=ENOUGH {
            let outcome = prepared.run(&[&format!("descriptors={free}")], &[]);
            let what = format!("{free} descriptors");
            match free {
                ENOUGH => {
                    assert!(matches!(outcome, Outcome::Ok(..)), "{name}: {outcome:?}");
                    prepared.assert_complete(&what);
                }
                _ => {
                    let none_left = Outcome::Err("Uncategorized".into(), Some(libc::EMFILE));
                    assert_eq!(outcome, none_left, "{name}: {what}");
                    prepared.assert_as_before(&what);
                }
            }
        }
    }
}
