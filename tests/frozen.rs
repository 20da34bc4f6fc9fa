//! A guest that was built against `sandbox:fast-copy@0.2.0` links and runs, in both linker forms.

use std::path::Path;

use fast_copy_test_support::guest_host::{P2_FORMS, Preopen, run_component};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::FastCopyCtx;

#[test]
fn a_guest_that_was_built_against_0_2_0_runs() {
    let engine = Engine::default();
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/guest.wasm");
    let component = Component::from_file(&engine, guest).unwrap();
    for form in P2_FORMS {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [Preopen::writable(dir.path(), ".")];
        let output = run_component(&component, form, &dirs, &[], FastCopyCtx::new());
        assert!(
            matches!(&output, Ok(output) if output.status == 0 && output.stdout == "ok\n"),
            "{form:?}: {output:?}"
        );
    }
}

/// The copy of the WIT that the guest was built against is part of the interface now.
#[test]
fn the_interface_has_everything_that_0_2_0_had() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frozen = signatures(&root.join("tests/frozen/wit"));
    let current = signatures(&root.join("wit/p2"));
    for line in &frozen {
        assert!(current.contains(line), "0.2.0 had `{line}`");
    }
}

/// Returns the lines of the interfaces' files without comments.
fn signatures(wit: &Path) -> Vec<String> {
    ["types", "copy", "jobs", "inspect", "world"]
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(wit.join(name).with_extension("wit")).unwrap();
            text.lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty() && !line.starts_with("//"))
                .collect::<Vec<_>>()
        })
        .collect()
}
