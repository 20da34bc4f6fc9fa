//! Says what differs in a copy from what was asked for.

use fast_copy::CopyNotes;

/// Returns a text for each note. The name of the copy belongs before it.
pub fn texts(notes: CopyNotes) -> impl Iterator<Item = &'static str> {
    const TEXTS: [(CopyNotes, &str); 4] = [
        (
            CopyNotes::PERMISSIONS_WIDER,
            "has permissions that its base lacks",
        ),
        (
            CopyNotes::PERMISSIONS_NARROWER,
            "lacks permissions that its base has",
        ),
        (
            CopyNotes::TIMES_NOT_PRESERVED,
            "does not have the times of its base",
        ),
        (
            CopyNotes::HOLES_NOT_KEPT,
            "has space allocated where its base has holes",
        ),
    ];
    TEXTS
        .into_iter()
        .filter(move |(note, _)| notes.contains(*note))
        .map(|(_, text)| text)
}
