//! Validates the WIT, and compares `docs/wit.md` with the page that is generated from it. `BLESS=1` writes the
//! page.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

/// The interfaces of other packages, which are documented elsewhere.
const FOREIGN: &str = "Import interface wasi:";

#[test]
fn the_page_is_generated_from_the_wit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = page(&root.join("wit/p2"));
    let file = root.join("docs/wit.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&file).is_ok_and(|page| page == generated),
        "docs/wit.md is not up to date: run `BLESS=1 cargo test --test wit_page`"
    );
}

fn page(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("the WIT must be valid");
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let package = &resolve.packages[package];
    let mut page = format!(
        "<!-- Generated from wit/p2 by tests/wit_page.rs. -->\n\n# {}\n\n{}\n\n",
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
    let lines: Vec<_> = without_dangling_links(&page)
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n").trim_end().to_owned() + "\n"
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
