//! The command line.

use std::error::Error;

/// What the arguments ask for.
pub struct Command<'a> {
    pub way: &'a str,
    pub sync: bool,
    src: &'a str,
    dst: &'a str,
    /// The number of copies.
    pub copies: usize,
    /// The arguments after that number.
    pub rest: &'a [&'a str],
}

impl<'a> Command<'a> {
    /// Parses `WAY [--sync] SRC DST [REPEAT [REST...]]`. Returns `None` if the arguments are wrong.
    pub fn parse(args: &'a [&'a str]) -> Option<Self> {
        let (way, sync, rest) = match args {
            [way, "--sync", rest @ ..] => (*way, true, rest),
            [way, rest @ ..] => (*way, false, rest),
            [] => return None,
        };
        let (src, dst, copies, rest) = match rest {
            [src, dst] => (src, dst, 1, &[][..]),
            [src, dst, copies, rest @ ..] => (src, dst, copies.parse().ok()?, rest),
            _ => return None,
        };
        Some(Self {
            way,
            sync,
            src,
            dst,
            copies,
            rest,
        })
    }

    /// Returns the paths of the copy with this number.
    pub fn paths(&self, number: usize) -> [String; 2] {
        [self.src, self.dst].map(|path| path.replace("{i}", &number.to_string()))
    }
}

/// Returns the error of a copy, with its paths.
pub fn failure([src, dst]: &[String; 2], error: Box<dyn Error>) -> Box<dyn Error> {
    format!("{src} -> {dst}: {error}").into()
}
