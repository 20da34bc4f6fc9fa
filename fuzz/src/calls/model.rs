//! What the directory of a guest holds, and where a path leads in it: a model that shares no code with the library.

use std::collections::BTreeMap;

use wasmtime_fast_copy::p2::bindings::types::ErrorCode;

/// What a name refers to. `File` has the index of its content, which hard links share.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Directory,
    File(usize),
    Link(String),
    Fifo,
}

/// The names, relative to the directory and without `.` or `..`, and the contents of files.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub names: BTreeMap<String, Node>,
    pub files: Vec<Content>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// To something with this name. The directory itself has an empty one.
    Name(String),
    /// To nothing: this name can be created.
    Free(String),
}

/// The number of symbolic links after which the kernel gives up (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

impl Model {
    /// Returns what a name refers to.
    pub fn node(&self, name: &str) -> Option<&Node> {
        match name {
            "" => Some(&Node::Directory),
            _ => self.names.get(name),
        }
    }

    pub fn content(&self, name: &str) -> Option<&Content> {
        match self.node(name)? {
            Node::File(index) => Some(&self.files[*index]),
            _ => None,
        }
    }

    /// Adds a file with a content of its own.
    pub fn put(&mut self, name: &str, content: Content) {
        self.files.push(content);
        let node = Node::File(self.files.len() - 1);
        self.names.insert(name.to_owned(), node);
    }

    /// Follows a path from a directory as `openat2` does with `RESOLVE_BENEATH`.
    pub fn resolve(&self, base: &str, path: &str, follow: bool) -> Result<Found, ErrorCode> {
        if path.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if path.len() > 4095 {
            return Err(ErrorCode::NameTooLong);
        }
        let mut left: Vec<String> = Vec::new();
        push(&mut left, path)?;
        let (mut at, mut links) = (base.to_owned(), 0);
        while let Some(part) = left.pop() {
            if self.node(&at) != Some(&Node::Directory) {
                return Err(ErrorCode::NotDirectory);
            }
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at = parent(&at, base)?;
                    continue;
                }
                _ if part.len() > 255 => return Err(ErrorCode::NameTooLong),
                _ => {}
            }
            let name = join(&at, &part);
            let is_last = left.is_empty();
            match self.node(&name) {
                None if is_last => return Ok(Found::Free(name)),
                None => return Err(ErrorCode::NoEntry),
                Some(Node::Link(target)) if !is_last || follow => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ErrorCode::Loop);
                    }
                    push(&mut left, target)?;
                }
                Some(_) => at = name,
            }
        }
        Ok(Found::Name(at))
    }
}

/// Pushes the components of a path, the first one last.
fn push(left: &mut Vec<String>, path: &str) -> Result<(), ErrorCode> {
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    left.extend(path.split('/').rev().map(str::to_owned));
    Ok(())
}

fn parent(name: &str, base: &str) -> Result<String, ErrorCode> {
    match name == base {
        true => Err(ErrorCode::NotPermitted),
        false => Ok(name
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent)
            .to_owned()),
    }
}

/// Returns the name of an entry of a directory.
pub fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}
