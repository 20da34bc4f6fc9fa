//! One copy, and what must hold after it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fast_copy_test_support::files::{KIB, exists, names, same_content, sparse_file};
use fast_copy_test_support::function::{ALL, Function};
use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use fast_copy_test_support::waiting::poll_to_end;
use fastrand::Rng;
use wasmtime_fast_copy::p2::bindings::types::{CopyError, CopyReport};
use wasmtime_fast_copy::{CopyOptions, CopyQuota, CopySlots, FastCopyCtx, FreeSpaceFloor, Limits};

const OLD: &str = "old";

/// Who makes a copy.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Engine(Function),
    /// A guest, in one of the three forms of a call. True for `sparse-copy`.
    Sync(bool),
    Async(bool),
    Job(bool),
}

/// One copy to make.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    caller: Caller,
    replace: bool,
    durable: bool,
    size: Option<u64>,
}

impl Attempt {
    pub fn random(rng: &mut Rng) -> Self {
        let sparse = rng.bool();
        let caller = match rng.u8(..6) {
            0..3 => Caller::Engine(ALL[rng.usize(..ALL.len())]),
            3 => Caller::Sync(sparse),
            4 => Caller::Async(sparse),
            _ => Caller::Job(sparse),
        };
        Self {
            caller,
            replace: rng.bool(),
            durable: rng.bool(),
            size: None,
        }
    }

    /// Makes the copy larger than its source.
    pub fn with_size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }
}

/// A directory with a source, and what counts its copies.
pub struct Place {
    dir: PathBuf,
    host: Host,
}

/// A host with one slot, and with a quota that is never full.
struct Host {
    quota: CopyQuota,
    slots: CopySlots,
    state: State,
}

impl Host {
    fn new(dir: &Path) -> Self {
        let quota = CopyQuota::new(u64::MAX);
        let slots = CopySlots::new(1);
        let ctx = FastCopyCtx::builder()
            .quota(quota.clone())
            .slots(slots.clone())
            .free_space_floor(FreeSpaceFloor::NONE)
            .max_size(u64::MAX);
        Self {
            quota,
            slots,
            state: State::in_dir(dir, ctx.build()),
        }
    }
}

impl Place {
    /// Makes a source of at most `largest` bytes, with data and holes, in a directory.
    pub fn new(dir: &Path, largest: u64, rng: &mut Rng) -> Self {
        let size = rng.u64(largest / 2..=largest);
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < size {
            let end = size.min(at + rng.u64(1..=512 * KIB));
            ranges.push(at..end);
            at = end + rng.u64(4 * KIB..=64 * KIB);
        }
        let src = dir.join("src");
        sparse_file(&src, size, &ranges);
        File::open(&src).unwrap().sync_all().unwrap();
        Self {
            dir: dir.to_owned(),
            host: Host::new(dir),
        }
    }

    /// Replaces the host by a new one, which has no threads.
    pub fn renew(&mut self) {
        self.host = Host::new(&self.dir);
    }

    pub fn src(&self) -> PathBuf {
        self.dir.join("src")
    }

    fn dst(&self) -> PathBuf {
        self.dir.join("dst")
    }

    /// Restores the destination for a copy.
    pub fn reset(&self, attempt: &Attempt) {
        let _ = fs::remove_file(self.dst());
        if attempt.replace {
            fs::write(self.dst(), OLD).unwrap();
            File::open(self.dst()).unwrap().sync_all().unwrap();
        }
    }

    /// Makes a copy, and judges it.
    pub fn copy(&mut self, attempt: &Attempt) -> Result<Option<String>, String> {
        let result = self.make(attempt);
        self.judge(attempt, &result)
    }

    /// Makes a copy. Returns its size, or the error.
    pub fn make(&mut self, attempt: &Attempt) -> Result<u64, String> {
        let of_engine = |function: Function| {
            let limits = Limits::new()
                .quota(self.host.quota.clone())
                .max_size(u64::MAX);
            let mut options = CopyOptions::new()
                .replace(attempt.replace)
                .durable(attempt.durable)
                .limits(limits);
            if let Some(size) = attempt.size {
                options = options.size(size);
            }
            let copied = function.call(&options, &self.src(), &self.dst());
            copied.map(|report| report.size).map_err(|error| {
                match (error.is_published(), error.is_in_doubt()) {
                    (false, false) => of_kind(&error),
                    _ => format!("published: {error}"),
                }
            })
        };
        if let Caller::Engine(function) = attempt.caller {
            return of_engine(function);
        }
        let mut options = Options::empty();
        if attempt.replace {
            options = options | Options::REPLACE;
        }
        if !attempt.durable {
            options = options | Options::NOT_DURABLE;
        }
        if let Some(size) = attempt.size {
            options = options | Options::size(size);
        }
        let answer = self.call(attempt.caller, options);
        answer
            .map(|report| report.size)
            .map_err(|error| format!("{:?} for the guest", error.code))
    }

    fn call(&mut self, caller: Caller, options: Options) -> Result<CopyReport, CopyError> {
        let state = &mut self.host.state;
        let (src, dst) = ("src", "dst");
        match caller {
            Caller::Sync(false) => state.fast_copy(src, dst, options).unwrap(),
            Caller::Sync(true) => state.sparse_copy(src, dst, options).unwrap(),
            Caller::Async(false) => poll_to_end(state.fast_copy_async(src, dst, options)).unwrap(),
            Caller::Async(true) => poll_to_end(state.sparse_copy_async(src, dst, options)).unwrap(),
            Caller::Job(sparse) => {
                let job = match sparse {
                    false => state.start_fast_copy(src, dst, options),
                    true => state.start_sparse_copy(src, dst, options),
                };
                state.finish(job.unwrap()?)
            }
            Caller::Engine(_) => unreachable!("it is no guest"),
        }
    }

    /// Judges a copy: none if it has succeeded, its error if it has failed and changed nothing, or what is wrong.
    pub fn judge(
        &self,
        attempt: &Attempt,
        result: &Result<u64, String>,
    ) -> Result<Option<String>, String> {
        let Host { quota, slots, .. } = &self.host;
        let charged = quota.used();
        quota.reset();
        let wrong = |text: String| Err(format!("{attempt:?}: {result:?}: {text}"));
        let names = names(&self.dir);
        let known = |name: &String| ["src", "dst", "filler", "lost+found"].contains(&name.as_str());
        if !names.iter().all(known) {
            return wrong(format!("names are left: {names:?}"));
        }
        if slots.free() != slots.total() {
            return wrong("a slot is taken".to_owned());
        }
        if quota.reserved() != 0 {
            return wrong(format!("{} bytes are reserved", quota.reserved()));
        }
        match result {
            Ok(size) => {
                if let Some(difference) = self.difference(attempt, *size) {
                    return wrong(difference);
                }
                Ok(None)
            }
            Err(error) => {
                let is_old = match attempt.replace {
                    true => fs::read(self.dst()).is_ok_and(|bytes| bytes == OLD.as_bytes()),
                    false => !exists(&self.dst()),
                };
                if !is_old {
                    return wrong("the destination has changed".to_owned());
                }
                if charged != 0 {
                    return wrong(format!("{charged} bytes are charged"));
                }
                Ok(Some(error.clone()))
            }
        }
    }

    fn difference(&self, attempt: &Attempt, size: u64) -> Option<String> {
        let Some(larger) = attempt.size else {
            return same_content(&self.src(), &self.dst()).err();
        };
        if size != larger {
            return Some(format!("the size is {size}"));
        }
        // What is beyond the source's size is a hole.
        let file = File::options().write(true).open(self.dst()).unwrap();
        if file.metadata().unwrap().len() != larger {
            return Some("the file has another size".to_owned());
        }
        file.set_len(fs::metadata(self.src()).unwrap().len())
            .unwrap();
        same_content(&self.src(), &self.dst()).err()
    }
}

/// Returns the name of an error's kind, or its number.
fn of_kind(error: &wasmtime_fast_copy::CopyError) -> String {
    match error.raw_os_error() {
        Some(number) => std::io::Error::from_raw_os_error(number).to_string(),
        None => {
            let kind = format!("{:?}", error.kind());
            kind.split(['(', '{', ' '])
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}
