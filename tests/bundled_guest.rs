//! The components in `guest/prebuilt` are those that the sources in this tree make.

use std::path::Path;
use std::process::Command;

#[test]
fn the_bundled_guests_are_made_from_these_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("guest/digest.sh"))
        .output()
        .expect("guest/digest.sh");
    assert!(output.status.success(), "{output:?}");
    let digest = String::from_utf8(output.stdout).unwrap();
    let bundled = std::fs::read_to_string(root.join("guest/prebuilt/sources.sha256")).unwrap();
    assert_eq!(
        bundled, digest,
        "the guests' sources have changed: run guest/build.sh --bundle"
    );
}
