//! Guests that were built against `sandbox:fast-copy@0.2.0` and `@0.3.0` link and run, in each form that they have.

use std::path::{Path, PathBuf};

use fast_copy_test_support::command::{Form, engine};
use fast_copy_test_support::guest_host::{P2_FORMS, Preopen, run_component};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_fast_copy::FastCopyCtx;

/// Returns the path of a file of this repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
fn assert_runs(component: &Component, form: Form) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [Preopen::writable(dir.path(), ".")];
    let output = run_component(component, form, &dirs, &[], FastCopyCtx::new());
    assert!(
        matches!(&output, Ok(output) if output.status == 0 && output.stdout == "ok\n"),
        "{form:?}: {output:?}"
    );
}

#[test]
fn a_guest_that_was_built_against_0_2_0_runs() {
    let engine = Engine::default();
    let component = Component::from_file(&engine, path("tests/frozen/guest.wasm")).unwrap();
    for form in P2_FORMS {
        assert_runs(&component, form);
    }
}

/// It needs nothing of 0.2.0 from the host.
#[test]
fn a_guest_that_was_built_against_0_3_0_runs() {
    let engine = engine();
    let component = Component::from_file(&engine, path("tests/frozen/p3/guest.wasm")).unwrap();
    let component_type = component.component_type();
    let mut imports: Vec<_> = component_type
        .imports(&engine)
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("sandbox:"))
        .collect();
    imports.sort();
    let expected = ["copy", "inspect", "types"];
    let expected = expected.map(|interface| format!("sandbox:fast-copy/{interface}@0.3.0"));
    assert_eq!(imports, expected);
    assert_runs(&component, Form::P3);
}

/// The copies of the WIT that the guests were built against are part of the interface now.
#[test]
fn the_interface_has_everything_that_the_first_versions_had() {
    let p2: &[_] = &["types", "copy", "jobs", "inspect", "world"];
    let p3: &[_] = &["types", "copy", "inspect", "world"];
    for (frozen, current, files) in [
        ("tests/frozen/wit", "wit/p2", p2),
        ("tests/frozen/p3/wit", "wit/p3", p3),
    ] {
        let current = signatures(&path(current), files);
        for line in &signatures(&path(frozen), files) {
            assert!(current.contains(line), "{frozen} had `{line}`");
        }
    }
}

/// Returns the lines of the interfaces' files without comments.
fn signatures(wit: &Path, files: &[&str]) -> Vec<String> {
    files
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
