//! Makes several copies at the same time.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use clone_disk::args::How;
use clone_disk::failure::failure;
use clone_disk::progress::{Progress, TICK};
use clone_disk::table::Table;
use fast_copy::{CopyReport, Error, ErrorCode, p3};
use futures::future::select;
use futures::stream::{FuturesUnordered, StreamExt as _};
use wasip3::clocks::monotonic_clock::wait_for;

/// The most copies that are started before one of them has ended. The host decides how many of them run.
pub const IN_FLIGHT: usize = 16;

/// How often a copy is started again that the host did not accept, although no other copy was in progress. With
/// one [`TICK`] between two attempts, this takes 10 seconds.
const ATTEMPTS: u32 = 200;

/// Copies to be made.
pub struct Copies<'a> {
    how: &'a How,
    copies: Vec<Copy>,
}

/// A copy, and how far it is.
struct Copy {
    src: String,
    dst: String,
    /// How many bytes of data it is expected to have.
    data: u64,
    /// How many bytes were copied.
    copied: u64,
    state: State,
}

enum State {
    /// It is not started, or in progress.
    Open,
    Made(CopyReport, Duration),
    Failed,
}

impl<'a> Copies<'a> {
    pub fn new(how: &'a How) -> Self {
        let copies = Vec::new();
        Self { how, copies }
    }

    /// Adds the copy of `src` to `dst`. `data` is an estimate of the bytes to copy, for the progress.
    pub fn add(&mut self, src: String, dst: String, data: u64) {
        self.copies.push(Copy {
            src,
            dst,
            data,
            copied: 0,
            state: State::Open,
        });
    }

    /// Makes the copies, and prints a line for each, in the order in which they were added. Returns their
    /// reports.
    ///
    /// `names` are the names of the copies in the table, and `title` stands before the progress bar. After an
    /// error no copy is started, and those in progress are completed.
    pub async fn make(
        self,
        column: &str,
        names: &[String],
        title: &str,
    ) -> Result<Vec<CopyReport>, String> {
        let left = (0..self.copies.len()).collect();
        let run = RefCell::new(Run {
            how: self.how,
            copies: self.copies,
            left,
            errors: Vec::new(),
            names,
            table: Table::start(column, names),
            printed: 0,
            progress: Progress::start(title),
        });
        let ticks = async {
            loop {
                tick().await;
                run.borrow_mut().show();
            }
        };
        select(pin!(make_all(&run)), pin!(ticks)).await;
        run.into_inner().end()
    }
}

async fn tick() {
    wait_for(TICK.as_nanos() as u64).await;
}

/// Copies in progress.
struct Run<'a> {
    how: &'a How,
    copies: Vec<Copy>,
    /// The copies that are not started, by their index.
    left: BTreeSet<usize>,
    errors: Vec<String>,
    names: &'a [String],
    table: Table,
    /// How many copies the table has already.
    printed: usize,
    progress: Progress<'a>,
}

/// Makes copies until none is left or one has failed.
///
/// A host can accept fewer copies than [`IN_FLIGHT`] at once, also because of other guests. A copy that it did
/// not accept is started again when another one has ended, or after a [`TICK`] if there is none.
async fn make_all(run: &RefCell<Run<'_>>) {
    let mut in_flight = FuturesUnordered::new();
    // As many as the host is known to accept, and one more after each copy that was made.
    let mut most = IN_FLIGHT;
    let mut attempts = 0;
    loop {
        while in_flight.len() < most
            && let Some(index) = run.borrow_mut().next()
        {
            in_flight.push(copy(run, index));
        }
        let Some((index, copied, time)) = in_flight.next().await else {
            return;
        };
        match copied {
            Ok(report) => {
                run.borrow_mut().made(index, report, time);
                most = IN_FLIGHT.min(most + 1);
                attempts = 0;
            }
            Err(error) if is_refused(&error) && !in_flight.is_empty() => {
                run.borrow_mut().left.insert(index);
                most = in_flight.len();
            }
            Err(error) if is_refused(&error) && attempts < ATTEMPTS => {
                run.borrow_mut().left.insert(index);
                most = 1;
                attempts += 1;
                tick().await;
            }
            Err(error) => run.borrow_mut().failed(index, error),
        }
    }
}

/// Returns whether a host did not accept a copy because it has others.
fn is_refused(error: &Error) -> bool {
    error.code() == ErrorCode::Busy && error.operand().is_none()
}

/// Makes a copy, and keeps its progress. Returns its index and its time too.
async fn copy(
    run: &RefCell<Run<'_>>,
    index: usize,
) -> (usize, Result<CopyReport, Error>, Duration) {
    let start = Instant::now();
    let copied = async {
        let mut job = run.borrow().start(index)?;
        while let Some(progress) = job.progress().await {
            let copy = &mut run.borrow_mut().copies[index];
            copy.copied = progress.copied;
            copy.data = progress.total.unwrap_or(copy.data);
        }
        job.wait().await
    };
    (index, copied.await, start.elapsed())
}

impl Run<'_> {
    /// Returns the next copy, if one is left and none has failed.
    fn next(&mut self) -> Option<usize> {
        match self.errors.is_empty() {
            true => self.left.pop_first(),
            false => None,
        }
    }

    /// Starts a copy.
    fn start(&self, index: usize) -> Result<p3::Job, Error> {
        let Copy { src, dst, .. } = &self.copies[index];
        let How {
            independent,
            options,
        } = self.how;
        match independent {
            true => p3::start_sparse_copy(src, dst, options),
            false => p3::start_fast_copy(src, dst, options),
        }
    }

    fn made(&mut self, index: usize, report: CopyReport, time: Duration) {
        let copy = &mut self.copies[index];
        copy.copied = copy.data;
        copy.state = State::Made(report, time);
        self.print_rows();
    }

    fn failed(&mut self, index: usize, error: Error) {
        self.copies[index].state = State::Failed;
        self.errors.push(error.to_string());
        self.print_rows();
    }

    /// Prints the lines of the copies that have ended, up to the first that has not.
    fn print_rows(&mut self) {
        self.progress.hide();
        for (copy, name) in self.copies.iter().zip(self.names).skip(self.printed) {
            match &copy.state {
                State::Made(report, time) => self.table.row(name, report, *time),
                State::Failed => {}
                State::Open => break,
            }
            self.printed += 1;
        }
    }

    /// Shows the bytes of all copies, if an update is due.
    fn show(&mut self) {
        let copied = self.copies.iter().map(|copy| copy.copied.min(copy.data));
        let data = self.copies.iter().map(|copy| copy.data);
        self.progress.show(copied.sum(), data.sum());
    }

    /// Returns the reports, or a message with all errors and with the names that were not attempted.
    fn end(self) -> Result<Vec<CopyReport>, String> {
        if !self.errors.is_empty() {
            let not_attempted: Vec<_> = self
                .left
                .iter()
                .map(|&index| self.names[index].clone())
                .collect();
            return Err(failure(self.errors.join("\n"), &not_attempted));
        }
        let made = self.copies.into_iter().filter_map(|copy| match copy.state {
            State::Made(report, _) => Some(report),
            _ => None,
        });
        Ok(made.collect())
    }
}
