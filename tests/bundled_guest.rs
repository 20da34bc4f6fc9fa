//! The components in `prebuilt` match the sources in this tree.

use std::path::Path;
use std::process::Command;

#[test]
fn the_bundled_guests_match_their_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("guest/digest.sh"))
        .output()
        .expect("guest/digest.sh");
    assert!(output.status.success(), "{output:?}");
    let found = String::from_utf8(output.stdout).unwrap();
    let bundled = std::fs::read_to_string(root.join("prebuilt/SHA256SUMS")).unwrap();
    assert_eq!(
        bundled, found,
        "the guests or their sources have changed: run guest/build.sh --bundle"
    );
}
