//! Says what differs in a copy from what was asked for.

use fast_copy::CopyNotes;

/// Returns a text for each note. The name of the copy belongs before it.
pub fn texts(notes: CopyNotes) -> impl Iterator<Item = &'static str> {
    [
        (
            notes.permissions_wider,
            "has permissions that its source lacks",
        ),
        (
            notes.permissions_narrower,
            "lacks permissions that its source has",
        ),
        (
            notes.times_not_preserved,
            "does not have the times of its source",
        ),
        (
            notes.holes_not_kept,
            "has space allocated where its source has holes",
        ),
    ]
    .into_iter()
    .filter_map(|(applies, text)| applies.then_some(text))
}
