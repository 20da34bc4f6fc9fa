//! Compares what is made from `wit/p2` with it: the SDK's bindings (`guest/fast-copy/src/wasi/bindings.rs`), the copy
//! of the WIT in the SDK's package, and the one in `guest/cloner`, which users copy. `BLESS=1` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// The interfaces of WASI whose types are those of the crate `wasip2`.
const WASI: [(&str, &str); 5] = [
    (
        "wasi:clocks/wall-clock@0.2.12",
        "wasip2::clocks::wall_clock",
    ),
    ("wasi:filesystem/types@0.2.12", "wasip2::filesystem::types"),
    ("wasi:io/error@0.2.12", "wasip2::io::error"),
    ("wasi:io/poll@0.2.12", "wasip2::io::poll"),
    ("wasi:io/streams@0.2.12", "wasip2::io::streams"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

#[test]
fn the_bindings_are_generated_from_the_wit() {
    let generated = bindings(&root().join("wit/p2"));
    let file = root().join("guest/fast-copy/src/wasi/bindings.rs");
    if bless() {
        fs::write(&file, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&file).is_ok_and(|bindings| bindings == generated),
        "the SDK's bindings are not up to date: run `BLESS=1 cargo test --test wit_copies`"
    );
}

#[test]
fn the_sdk_has_a_copy_of_the_wit() {
    let copy = "guest/fast-copy/wit";
    if bless() {
        let _ = fs::remove_dir_all(root().join(copy));
    }
    assert_copied(files(&root().join("wit/p2")), copy);
}

/// The folder of the WIT that guests are built from also has packages of WASI that the host does not import.
#[test]
fn the_guest_in_four_languages_has_a_copy_of_the_wit() {
    let mut own = files(&root().join("wit/p2"));
    own.retain(|name, _| name.parent() == Some(Path::new("")));
    assert_copied(own, "guest/cloner/wit/deps/fast-copy");

    let wasi = files(&root().join("wit/p2/deps"));
    let copy = root().join("guest/cloner/wit/deps");
    for (name, text) in &wasi {
        if bless() {
            fs::write(copy.join(name), text).unwrap();
        }
        let copied = fs::read_to_string(copy.join(name));
        assert!(
            copied.is_ok_and(|copied| copied == *text),
            "{}",
            stale(&copy.join(name))
        );
    }
}

/// Asserts that a folder has these files and no others. Writes them before, if asked to.
#[track_caller]
fn assert_copied(original: BTreeMap<PathBuf, String>, copy: &str) {
    let copy = root().join(copy);
    if bless() {
        for (name, text) in &original {
            let file = copy.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }
    assert!(!original.is_empty());
    assert!(original == files(&copy), "{}", stale(&copy));
}

fn stale(copy: &Path) -> String {
    let copy = copy.display();
    format!("{copy} differs from wit/p2: run `BLESS=1 cargo test --test wit_copies`")
}

fn bindings(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("the WIT must be valid");
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let with = |(interface, module): (&str, &str)| {
        (interface.to_owned(), WithOption::Path(module.to_owned()))
    };
    let options = Opts {
        format: true,
        generate_all: true,
        with: WASI.map(with).to_vec(),
        additional_derive_attributes: vec!["PartialEq".to_owned()],
        ..Opts::default()
    };
    let mut files = Files::default();
    let mut generator = options.build();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    let (_, text) = files.iter().next().expect("one file is generated");
    let text = std::str::from_utf8(text).unwrap();
    format!(
        "//! Contains the bindings of `sandbox:fast-copy`. Types of WASI are those of the crate `wasip2`.\n\
         //!\n\
         //! Generated from the WIT by `tests/wit_copies.rs`.\n\n\
         #![allow(missing_docs, warnings, clippy::all, reason = \"generated\")]\n\n{text}"
    )
}

/// Returns the files below a directory, by their paths.
fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let Ok(entries) = fs::read_dir(dir.join(&below)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                left.push(path);
            } else {
                found.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    found
}
