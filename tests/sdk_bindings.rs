//! Compares the SDK's bindings (`guest/fast-copy/src/wasi/bindings.rs`) with those that are generated from the
//! WIT, and its copy of the WIT with `wit/p2`. `BLESS=1` writes both.

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
        "the SDK's bindings are not up to date: run `BLESS=1 cargo test --test sdk_bindings`"
    );
}

#[test]
fn the_sdk_has_a_copy_of_the_wit() {
    let (original, copy) = (root().join("wit/p2"), root().join("guest/fast-copy/wit"));
    if bless() {
        let _ = fs::remove_dir_all(&copy);
        for (name, text) in files(&original) {
            let file = copy.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }
    assert!(
        files(&original) == files(&copy),
        "guest/fast-copy/wit differs from wit/p2: run `BLESS=1 cargo test --test sdk_bindings`"
    );
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
         //! Generated from the WIT by `tests/sdk_bindings.rs`.\n\n\
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
