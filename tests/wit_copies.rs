//! Compares what is made from `wit/p2` and `wit/p3` with them: the SDK's bindings, the copy of the WIT in the SDK's
//! package, and the one in `guest/cloner`, which users copy. `BLESS=1` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use heck::ToUpperCamelCase as _;
use wit_bindgen_core::wit_parser::{PackageId, Resolve, TypeDefKind};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// A front of the SDK whose bindings are generated.
struct Front {
    wit: &'static str,
    bindings: &'static str,
    /// The crate whose types of WASI the bindings use.
    wasi: &'static str,
    /// The interfaces of WASI, and their modules in that crate.
    with: &'static [(&'static str, &'static str)],
    /// The module of the other front whose records, enums, flags and variants the bindings use.
    types: Option<&'static str>,
}

const FRONTS: [Front; 2] = [
    Front {
        wit: "wit/p2",
        bindings: "guest/fast-copy/src/p2/bindings.rs",
        wasi: "wasip2",
        with: &[
            ("wasi:clocks/wall-clock@0.2.12", "clocks::wall_clock"),
            ("wasi:filesystem/types@0.2.12", "filesystem::types"),
            ("wasi:io/error@0.2.12", "io::error"),
            ("wasi:io/poll@0.2.12", "io::poll"),
            ("wasi:io/streams@0.2.12", "io::streams"),
        ],
        types: None,
    },
    Front {
        wit: "wit/p3",
        bindings: "guest/fast-copy/src/p3/bindings.rs",
        wasi: "wasip3",
        with: &[
            ("wasi:clocks/system-clock@0.3.0", "clocks::system_clock"),
            ("wasi:clocks/types@0.3.0", "clocks::types"),
            ("wasi:filesystem/types@0.3.0", "filesystem::types"),
        ],
        types: Some("crate::system::bindings::sandbox::fast_copy::types"),
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

#[test]
fn the_bindings_are_generated_from_the_wit() {
    for front in FRONTS {
        let generated = bindings(&front);
        let file = root().join(front.bindings);
        if bless() {
            fs::write(&file, &generated).unwrap();
        }
        assert!(
            fs::read_to_string(&file).is_ok_and(|bindings| bindings == generated),
            "{}",
            stale(&file)
        );
    }
}

#[test]
fn the_sdk_has_a_copy_of_the_wit() {
    let copy = "guest/fast-copy/wit";
    if bless() {
        let _ = fs::remove_dir_all(root().join(copy));
    }
    assert_copied(files(&root().join("wit")), copy);
}

/// Only the version in `@since` differs.
#[test]
fn both_fronts_have_the_same_types() {
    let types = |front: &str| fs::read_to_string(root().join(front).join("types.wit")).unwrap();
    let (p2, p3) = (types("wit/p2"), types("wit/p3"));
    assert_eq!(
        p2.replace("@since(version = 0.2.0)", "@since(version = 0.3.0)"),
        p3
    );
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

fn stale(made: &Path) -> String {
    let made = made.display();
    format!("{made} differs from the WIT: run `BLESS=1 cargo test --test wit_copies`")
}

fn bindings(front: &Front) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(root().join(front.wit))
        .expect("the WIT must be valid");
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let of_wasi = front.with.iter().map(|(interface, module)| {
        let module = format!("{}::{module}", front.wasi);
        ((*interface).to_owned(), WithOption::Path(module))
    });
    let of_other_front = front
        .types
        .into_iter()
        .flat_map(|module| types(&resolve, package, module));
    let options = Opts {
        format: true,
        generate_all: true,
        with: of_wasi.chain(of_other_front).collect(),
        additional_derive_attributes: vec!["PartialEq".to_owned()],
        ..Opts::default()
    };
    let mut files = Files::default();
    let mut generator = options.build();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    let (_, text) = files.iter().next().expect("one file is generated");
    let text = std::str::from_utf8(text).unwrap();
    format!(
        "//! Contains the bindings of `{}`. Types of WASI are those of the crate `{}`.\n\
         //!\n\
         //! Generated from the WIT by `tests/wit_copies.rs`.\n\n\
         #![allow(missing_docs, warnings, clippy::all, reason = \"generated\")]\n\n{text}",
        resolve.packages[package].name, front.wasi,
    )
}

/// Maps the types of the interface `types` that are equal in both fronts to those of a module.
///
/// A resource is a type of its own in each front.
fn types(resolve: &Resolve, package: PackageId, module: &str) -> Vec<(String, WithOption)> {
    let interface = resolve.packages[package].interfaces["types"];
    let name = resolve.id_of(interface).unwrap();
    let types = resolve.interfaces[interface].types.iter();
    let equal = types.filter(|(_, id)| {
        !matches!(
            resolve.types[**id].kind,
            TypeDefKind::Resource | TypeDefKind::Type(_)
        )
    });
    let path = |ty: &str| WithOption::Path(format!("{module}::{}", ty.to_upper_camel_case()));
    equal
        .map(|(ty, _)| (format!("{name}/{ty}"), path(ty)))
        .collect()
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
