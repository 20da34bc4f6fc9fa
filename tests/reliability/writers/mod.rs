//! Writers change the source during a copy. A copy that succeeds has the content that the source had at one moment
//! of the call.

mod free_running;
mod log;
mod states;
mod stopped;
mod writer;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fast_copy_test_support::figures::record;
use fast_copy_test_support::filesystems::FileSystem;

use states::{BLOCK, Block, State, bytes};
use writer::Kind;

/// Declares a test for each kind of writers.
macro_rules! beside {
    ($($test:ident: $($kind:ident)+),+ $(,)?) => {
        fast_copy_test_support::tests![
            $($test where Times,)+
            a_change_between_two_calls_is_in_the_copy_or_source_changed where Times,
        ];

        $(fn $test(fs: &FileSystem) {
            free_running::test(fs, &[$(Kind::$kind),+]);
        })+
    };
}

beside![
    a_copy_beside_buffered_writes: Buffered,
    a_copy_beside_long_buffered_writes: BufferedLong,
    a_copy_beside_direct_writes: Direct,
    a_copy_beside_long_direct_writes: DirectLong,
    a_copy_beside_stores_to_clean_pages: MappedClean,
    a_copy_beside_stores_to_dirty_pages: MappedDirty,
    a_copy_beside_punched_holes: PunchHole,
    a_copy_beside_zeroed_ranges: ZeroRange,
    a_copy_beside_collapsed_ranges: CollapseRange,
    a_copy_beside_inserted_ranges: InsertRange,
    a_copy_beside_several_writers: Buffered Buffered Direct,
];

fn a_change_between_two_calls_is_in_the_copy_or_source_changed(fs: &FileSystem) {
    stopped::test(fs);
}

const KIND: &str = "writers";

/// What a row of the report counts.
#[derive(Default)]
struct Figures {
    copies: u64,
    ok: u64,
    source_changed: u64,
    exceptions: u64,
    violations: Vec<String>,
}

impl Figures {
    fn record(&self, row: &str) {
        let figures = [
            ("copies", self.copies),
            ("ok", self.ok),
            ("source changed", self.source_changed),
            ("documented exceptions", self.exceptions),
            ("violations", self.violations.len() as u64),
        ];
        record(KIND, row, &figures);
    }
}

/// How a source is laid out.
#[derive(Clone, Copy)]
enum Layout {
    /// 2 MiB of data: eight reads.
    Dense,
    /// 300 blocks of data with holes between them: more than two batches, which two threads share.
    Fragmented,
}

/// Makes a source, and writes it to the disk. Returns its state.
fn make_source(path: &Path, layout: Layout) -> State {
    let stamped = |block: u64| Block::stamped(1 << 63 | block);
    let mut file = File::create(path).unwrap();
    let state: State = match layout {
        Layout::Dense => {
            let state: State = (0..512).map(stamped).collect();
            file.write_all(&bytes(&state)).unwrap();
            state
        }
        Layout::Fragmented => (0..600)
            .map(|block| match block % 2 {
                0 => {
                    let bytes = bytes(&[stamped(block)]);
                    file.write_all_at(&bytes, block * BLOCK as u64).unwrap();
                    stamped(block)
                }
                _ => Block::ZERO,
            })
            .collect(),
    };
    file.set_len((state.len() * BLOCK) as u64).unwrap();
    file.sync_all().unwrap();
    state
}
