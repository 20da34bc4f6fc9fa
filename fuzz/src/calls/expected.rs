//! Which errors a call may fail with, and what it makes if it doesn't.

use wasmtime_fast_copy::p2::bindings::types::ErrorCode;

use super::input::{At, Base, Copy, Way};
use super::model::{Content, Found, Model, Node, join};

/// What a call may answer.
#[derive(Debug, Default)]
pub struct Allowed {
    /// Why the call must fail. With several reasons, any of them can be reported.
    faults: Vec<ErrorCode>,
    /// Errors with which it may fail, and need not.
    others: Vec<ErrorCode>,
}

impl Allowed {
    pub fn add(&mut self, fault: Option<ErrorCode>) {
        self.faults.extend(fault);
    }

    pub fn also(&mut self, code: ErrorCode) {
        self.others.push(code);
    }

    /// Panics if an answer is not allowed. Returns what the call has returned, if it has not failed.
    pub fn check<T>(
        &self,
        traps: bool,
        answer: wasmtime::Result<Result<T, ErrorCode>>,
    ) -> Option<T> {
        match answer {
            Err(_) if traps => None,
            Err(trap) => panic!("a trap: {trap:?}"),
            Ok(_) if traps => panic!("an unknown handle is taken"),
            Ok(Ok(answer)) => {
                assert!(self.faults.is_empty(), "no error, expected {self:?}");
                Some(answer)
            }
            Ok(Err(code)) => {
                let is_allowed = self.faults.contains(&code) || self.others.contains(&code);
                assert!(is_allowed, "{code:?}, expected {self:?}");
                None
            }
        }
    }
}

pub fn directory(base: Base) -> Result<&'static str, ErrorCode> {
    match base {
        Base::File => Err(ErrorCode::NotDirectory),
        _ => Ok(base.name()),
    }
}

pub fn writable_directory(base: Base) -> Result<&'static str, ErrorCode> {
    match base {
        Base::ReadOnly => Err(ErrorCode::NotPermitted),
        _ => directory(base),
    }
}

/// Returns the name of the regular file that a path leads to.
pub fn source(model: &Model, at: &At, follow: bool) -> Result<String, ErrorCode> {
    let path = at.path.text();
    if path.len() > 4096 {
        return Err(ErrorCode::NameTooLong);
    }
    let base = directory(at.base)?;
    if path.contains('\0') {
        return Err(ErrorCode::Invalid);
    }
    match model.resolve(base, &path, follow)? {
        Found::Free(_) => Err(ErrorCode::NoEntry),
        Found::Name(name) => match model.node(&name) {
            Some(Node::File(_)) => Ok(name),
            Some(Node::Directory) => Err(ErrorCode::IsDirectory),
            Some(Node::Link(_)) => Err(ErrorCode::Loop),
            _ => Err(ErrorCode::NotRegularFile),
        },
    }
}

/// Returns the name that a path gives to a copy, whatever has it now.
pub fn destination(model: &Model, at: &At) -> Result<String, ErrorCode> {
    let path = at.path.text();
    if path.len() > 4096 {
        return Err(ErrorCode::NameTooLong);
    }
    let base = writable_directory(at.base)?;
    if path.contains('\0') {
        return Err(ErrorCode::Invalid);
    }
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", &path));
    if matches!(name, "" | "." | "..") {
        return Err(ErrorCode::Invalid);
    }
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    let parent = match model.resolve(base, parent, true)? {
        Found::Free(_) => return Err(ErrorCode::NoEntry),
        Found::Name(parent) => parent,
    };
    match model.node(&parent) {
        Some(Node::Directory) if name.len() > 255 => Err(ErrorCode::NameTooLong),
        Some(Node::Directory) => Ok(join(&parent, name)),
        _ => Err(ErrorCode::NotDirectory),
    }
}

/// Returns the name of the file that a copy reads.
pub fn copied(model: &Model, copy: &Copy) -> Result<String, ErrorCode> {
    source(model, &copy.src, copy.wanted.symlink_follow)
}

/// Returns what a copy may answer if the quota has so many bytes left, and the model after it, if it need not fail.
pub fn copy(model: &Model, copy: &Copy, room: u64) -> (Allowed, Option<Model>) {
    let mut allowed = Allowed::default();
    let wanted = copy.wanted;
    if wanted.require_reflink && (copy.sparse || wanted.dig_holes) {
        allowed.add(Some(ErrorCode::Invalid));
    }
    let (src, dst) = (copied(model, copy), destination(model, &copy.dst));
    allowed.add(src.as_ref().err().cloned());
    allowed.add(dst.as_ref().err().cloned());
    let content = src.as_ref().ok().and_then(|name| model.content(name));
    if let Some(size) = wanted.size.map(super::input::Size::bytes) {
        match content {
            Some(content) if size < content.bytes.len() as u64 => {
                allowed.add(Some(ErrorCode::Invalid));
            }
            Some(_) if size == u64::MAX => allowed.add(Some(ErrorCode::FileTooLarge)),
            _ => {}
        }
    }
    if let (Ok(src), Ok(dst)) = (&src, &dst) {
        allowed.add(conflict(model, copy, src, dst));
    }

    if wanted.require_reflink {
        allowed.also(ErrorCode::NotShareable);
    }
    if copy.way == Way::CancelledJob {
        allowed.also(ErrorCode::Cancelled);
    }
    let (Some(content), Ok(dst)) = (content, dst) else {
        return (allowed, None);
    };
    // A file system allocates whole blocks, and at most one more for the map.
    let blocks = content.bytes.len() as u64 / 4096 + 2;
    if room < blocks * 4096 {
        allowed.also(ErrorCode::Quota);
    }
    if !allowed.faults.is_empty() {
        return (allowed, None);
    }
    let mut after = model.clone();
    let mut bytes = content.bytes.clone();
    if let Some(size) = wanted.size {
        bytes.resize(size.bytes() as usize, 0);
    }
    let mode = content.mode & 0o777;
    after.put(&dst, Content { bytes, mode });
    (allowed, Some(after))
}

/// Returns why a copy can't have a name, by what has it now.
fn conflict(model: &Model, copy: &Copy, src: &str, dst: &str) -> Option<ErrorCode> {
    let existing = model.node(dst)?;
    let base = copy.dst.base.name();
    let led_to = match model.resolve(base, &copy.dst.path.text(), true) {
        Ok(Found::Name(name)) => model.node(&name),
        _ => None,
    };
    if [Some(existing), led_to].contains(&model.node(src)) {
        return Some(ErrorCode::SameFile);
    }
    match existing {
        _ if !copy.wanted.replace => Some(ErrorCode::Exist),
        Node::Directory => Some(ErrorCode::IsDirectory),
        Node::Fifo => Some(ErrorCode::NotRegularFile),
        Node::File(_) | Node::Link(_) => None,
    }
}
