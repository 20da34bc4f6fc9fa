//! How many files a copy has open: the source, the destination's directory, that directory again to
//! synchronise it, the staged file, and for an instant that file's second descriptor. Each child also
//! looks whether its copy has closed all of them, in every test, however the copy ended.

use fast_copy_test_support::filesystems::FileSystem;
use fast_copy_test_support::outcome::Outcome;
use fast_copy_test_support::prepared::prepared;

fast_copy_test_support::tests![
    five_descriptors_are_enough_and_with_fewer_a_copy_fails_and_leaves_nothing
];

const ENOUGH: u64 = 5;

fn five_descriptors_are_enough_and_with_fewer_a_copy_fails_and_leaves_nothing(fs: &FileSystem) {
    for prepared in prepared(fs) {
        let name = prepared.way.name;
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
