//! `unsafe` occurs only in the engine's platform modules, in generated bindings, and in a few files of tests.
//!
//! The lints in the manifests deny it everywhere and demand a `// SAFETY:` comment. This test looks at every source
//! file in the repository, also where those lints do not reach: in guests, and on other systems.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// Directories whose files may contain `unsafe`.
const DIRECTORIES: [&str; 1] = ["engine/src/platform"];

/// Other files that contain `unsafe`.
const FILES: [&str; 13] = [
    "benches/compare/inputs.rs",
    "guest/fast-copy/src/p2/bindings.rs",
    "guest/fast-copy/src/p3/bindings.rs",
    "guest/hostile/src/attacks.rs",
    "tests/contract/allocation.rs",
    "tests/host/resources.rs",
    "tests/reliability/errors/ptrace.rs",
    "tests/reliability/layouts/layout.rs",
    "tests/reliability/model/host.rs",
    "tests/reliability/writers/writer.rs",
    "tests/support/src/child.rs",
    "tests/support/src/features.rs",
    "tests/support/src/namespace.rs",
];

/// The manifests that have lints, and these lints. Those of guests have none: `prebuilt` has a digest of them.
const MANIFESTS: [&str; 4] = [
    "Cargo.toml",
    "engine/Cargo.toml",
    "fuzz/Cargo.toml",
    "tests/support/Cargo.toml",
];
const LINTS: [&str; 2] = [
    "unsafe_code = \"deny\"",
    "undocumented_unsafe_blocks = \"deny\"",
];

#[test]
fn unsafe_code_is_only_where_it_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(root);
    let mut found: Vec<String> = files
        .iter()
        .filter(|file| has_unsafe(&fs::read_to_string(file).unwrap()))
        .map(|file| file.strip_prefix(root).unwrap().display().to_string())
        .filter(|file| {
            !DIRECTORIES
                .iter()
                .any(|dir| Path::new(file).starts_with(dir))
        })
        .collect();
    found.sort();
    assert_eq!(
        found, FILES,
        "files with `unsafe`, and those that are listed"
    );
}

#[test]
fn the_manifests_deny_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for manifest in MANIFESTS {
        let text = fs::read_to_string(root.join(manifest)).unwrap();
        for lint in LINTS {
            assert!(text.lines().any(|line| line == lint), "{manifest}: {lint}");
        }
    }
}

#[test]
fn unsafe_code_is_found_by_its_tokens() {
    for text in [
        "fn f() { unsafe { g() } }",
        "mod m { impl T { unsafe fn f() {} } }",
        "#[unsafe(no_mangle)] fn f() {}",
        "m!(a [unsafe {}]);",
        "/* a */ unsafe /* b */ impl Send for T {}",
    ] {
        assert!(has_unsafe(text), "{text}");
    }
    for text in [
        "// unsafe\n/* unsafe */ /// unsafe\nfn f() {}",
        "const A: &str = \"unsafe { }\"; const B: &str = r#\"\" unsafe\"#;",
        "fn unsafely() { r#unsafe() }",
        "#![deny(unsafe_code)]",
    ] {
        assert!(!has_unsafe(text), "{text}");
    }
}

/// Returns all Rust files of the repository.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let is_built = name == "target" || name == ".git" || name == "node_modules";
            if entry.file_type().unwrap().is_dir() && !is_built {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 100, "the sources were not found");
    files
}

fn has_unsafe(text: &str) -> bool {
    let tokens: TokenStream = text.parse().expect("Rust tokens");
    has_unsafe_token(tokens)
}

fn has_unsafe_token(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "unsafe",
        TokenTree::Group(group) => has_unsafe_token(group.stream()),
        _ => false,
    })
}
