//! Validates the WIT, and compares its pages in `docs` with those that are generated from it. `BLESS=1` writes the
//! pages.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

/// The interfaces of other packages, which are documented elsewhere.
const FOREIGN: &str = "Import interface wasi:";

const PAGES: [(&str, &str); 2] = [("wit/p2", "docs/wit.md"), ("wit/p3", "docs/wit-p3.md")];

#[test]
fn the_pages_are_generated_from_the_wit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (wit, page) in PAGES {
        let generated = generate(root, wit);
        let file = root.join(page);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &generated).unwrap();
        }
        assert!(
            fs::read_to_string(&file).is_ok_and(|page| page == generated),
            "{page} is not up to date: run `BLESS=1 cargo test --test wit_page`"
        );
    }
}

fn generate(root: &Path, wit: &str) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(root.join(wit))
        .expect("the WIT must be valid");
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let package = &resolve.packages[package];
    let mut page = format!(
        "<!-- Generated from {wit} by tests/wit_page.rs. -->\n\n# {}\n\n{}\n\n",
        package.name,
        package.docs.contents.as_deref().unwrap_or_default(),
    );
    let mut files = Files::default();
    let mut generator = wit_bindgen_markdown::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    let (_, world) = files
        .iter()
        .find(|(name, _)| *name == "imports.md")
        .unwrap();
    let world = std::str::from_utf8(world).unwrap();
    let sections = world.split("\n## ");
    let own: Vec<_> = sections
        .filter(|section| !title(section).contains(FOREIGN))
        .collect();
    page.push_str(&own.join("\n## "));
    for function in async_functions(&resolve) {
        page = page.replace(
            &format!("`{function}: func`"),
            &format!("`{function}: async func`"),
        );
    }
    let lines: Vec<_> = without_dangling_links(&page)
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// Returns the names of the asynchronous functions of this package. The generator does not mark them.
fn async_functions(resolve: &Resolve) -> Vec<&str> {
    let own = resolve
        .packages
        .iter()
        .filter(|(_, package)| package.name.namespace != "wasi");
    let interfaces = own.flat_map(|(_, package)| package.interfaces.values());
    interfaces
        .flat_map(|interface| resolve.interfaces[*interface].functions.values())
        .filter(|function| function.kind.is_async())
        .map(|function| function.name.as_str())
        .collect()
}

fn title(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// Replaces links to an anchor that the page lacks by their text.
fn without_dangling_links(page: &str) -> String {
    let anchors: HashSet<_> = page
        .split("id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut out = String::new();
    let mut rest = page;
    while let Some((start, link)) = next_link(rest) {
        out.push_str(&rest[..start]);
        out.push_str(match anchors.contains(link.anchor) {
            true => link.whole,
            false => link.text,
        });
        rest = &rest[start + link.whole.len()..];
    }
    out + rest
}

struct Link<'a> {
    whole: &'a str,
    text: &'a str,
    anchor: &'a str,
}

/// Returns the first link to an anchor, and where it begins.
fn next_link(page: &str) -> Option<(usize, Link<'_>)> {
    let middle = page.find("](#")?;
    let start = page[..middle].rfind('[')?;
    let end = middle + page[middle..].find(')')?;
    let link = Link {
        whole: &page[start..=end],
        text: &page[start + 1..middle],
        anchor: &page[middle + 3..end],
    };
    Some((start, link))
}
