//! A copy that can be repeated.

use front::{CopyError, CopyReport, Descriptor, Function};

use crate::operands::{descriptor, unescape};
use crate::options::Options;

pub struct Copy<'a> {
    pub function: Function,
    pub src: Descriptor,
    pub dst: Descriptor,
    pub options: Options,
    /// The paths as the arguments spell them.
    paths: [&'a str; 2],
}

impl<'a> Copy<'a> {
    /// Parses FUNCTION, SRC_DIR, SRC_PATH, DST_DIR, DST_PATH and OPTIONS.
    pub async fn parse(args: &[&'a str]) -> Self {
        let [function, src, src_path, dst, dst_path, options] = args else {
            panic!("wrong arguments of a copy: {args:?}");
        };
        let function = match *function {
            "fast-copy" => Function::FastCopy,
            "sparse-copy" => Function::SparseCopy,
            other => panic!("unknown function {other}"),
        };
        Self {
            function,
            src: descriptor(src).await,
            dst: descriptor(dst).await,
            options: Options::parse(options),
            paths: [src_path, dst_path],
        }
    }

    /// Returns the paths for the copy with this number.
    pub fn paths(&self, number: usize) -> [String; 2] {
        self.paths.map(|path| unescape(path, number))
    }

    pub async fn make(&self, [src, dst]: [String; 2]) -> Result<CopyReport, CopyError> {
        let options = self.options.create();
        let options = options.as_ref();
        front::copy(self.function, &self.src, src, &self.dst, dst, options).await
    }

    /// Makes a copy while others run.
    pub async fn make_concurrently(
        &self,
        [src, dst]: [String; 2],
    ) -> Result<CopyReport, CopyError> {
        let options = self.options.create();
        let options = options.as_ref();
        front::copy_concurrently(self.function, &self.src, src, &self.dst, dst, options).await
    }
}
