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
use futures::future::{join_all, select};
use wasip3::clocks::monotonic_clock::wait_for;

/// The most copies that are started before one of them has ended. The host decides how many of them run.
pub const IN_FLIGHT: usize = 16;

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

    /// Makes the copies, and prints a line for each, in the order in which they were added. Returns their reports.
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
            in_flight: 0,
            errors: Vec::new(),
            names,
            table: Table::start(column, names),
            printed: 0,
            progress: Progress::start(title),
        });
        let lanes = (0..IN_FLIGHT).map(|_| lane(&run));
        let ticks = async {
            loop {
                wait_for(TICK.as_nanos() as u64).await;
                run.borrow_mut().show();
            }
        };
        select(pin!(join_all(lanes)), pin!(ticks)).await;
        run.into_inner().end()
    }
}

/// Copies in progress. All lanes share it.
struct Run<'a> {
    how: &'a How,
    copies: Vec<Copy>,
    /// The copies that are not started, by their index.
    left: BTreeSet<usize>,
    in_flight: usize,
    errors: Vec<String>,
    names: &'a [String],
    table: Table,
    /// How many copies the table has already.
    printed: usize,
    progress: Progress<'a>,
}

/// Makes one copy after the other, until none is left or one has failed.
///
/// A host can accept fewer copies at once than there are lanes. Then this lane leaves its copy to the others, and
/// ends.
async fn lane(run: &RefCell<Run<'_>>) {
    loop {
        let Some((index, job)) = run.borrow_mut().start() else {
            return;
        };
        let start = Instant::now();
        let copied = match job {
            Ok(job) => finish(run, index, job).await,
            Err(error) => Err(error),
        };
        let mut run = run.borrow_mut();
        run.in_flight -= 1;
        match copied {
            Ok(report) => run.made(index, report, start.elapsed()),
            Err(error) if run.in_flight > 0 && is_refused(&error) => {
                run.left.insert(index);
                return;
            }
            Err(error) => run.failed(index, error),
        }
    }
}

/// Returns whether a host did not accept a copy because the guest has others.
fn is_refused(error: &Error) -> bool {
    error.code() == ErrorCode::Busy && error.operand().is_none()
}

/// Waits until a copy has ended, and keeps its progress.
async fn finish(
    run: &RefCell<Run<'_>>,
    index: usize,
    mut job: p3::Job,
) -> Result<CopyReport, Error> {
    while let Some(progress) = job.progress().await {
        let copy = &mut run.borrow_mut().copies[index];
        copy.copied = progress.copied;
        copy.data = progress.total.unwrap_or(copy.data);
    }
    job.wait().await
}

impl Run<'_> {
    /// Starts the next copy, if one is left and none has failed.
    fn start(&mut self) -> Option<(usize, Result<p3::Job, Error>)> {
        if !self.errors.is_empty() {
            return None;
        }
        let index = self.left.pop_first()?;
        self.in_flight += 1;
        let Copy { src, dst, .. } = &self.copies[index];
        let How {
            independent,
            options,
        } = self.how;
        let job = match independent {
            true => p3::start_sparse_copy(src, dst, options),
            false => p3::start_fast_copy(src, dst, options),
        };
        Some((index, job))
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
