//! Runs a model under many schedules.

use system::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use system::sync::Once;
use system::sync::atomic::{AtomicU64, Ordering};
use system::time::{SystemTime, UNIX_EPOCH};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::figures;
use crate::scale::scaled;
use crate::sync::Arc;
use crate::{env, runtime, thread, time, wait};

/// The environment variable with the seed of the schedules.
const SEED: &str = "FAST_COPY_SEED";

/// The environment variable with one schedule to run again, as a failure prints it.
const SCHEDULE: &str = "FAST_COPY_SCHEDULE";

/// The number of times that the schedulers of the second half interrupt the thread with the highest priority.
const INTERRUPTIONS: usize = 3;

/// Runs a model under schedules that a seed determines, and records how many there were.
///
/// One half chooses each step at random. The other half (probabilistic concurrency testing) lets the thread with
/// the highest priority go on, and changes priorities a few times: it finds what one long delay at the wrong step
/// does.
///
/// # Panics
///
/// A thread of the model has panicked, or all its threads wait.
pub fn explore(name: &str, long: usize, short: usize, model: fn()) {
    start_runtime();
    if let Ok(schedule) = env::var(SCHEDULE) {
        let mut scheduler = ReplayScheduler::new_from_encoded(&schedule);
        scheduler.set_allow_incomplete();
        Runner::new(scheduler, config()).run(move || execute(model));
        return;
    }
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::try_from(now.unwrap().as_nanos()).unwrap()
        }
    };
    println!("{name}: {SEED}={seed}");
    let half = scaled(long, short) / 2;
    let schedules = Arc::new(AtomicU64::new(0));
    let result = catch_unwind(AssertUnwindSafe(|| {
        run(
            RandomScheduler::new_from_seed(seed, half),
            model,
            &schedules,
        );
        let scheduler = PctScheduler::new_from_seed(seed, INTERRUPTIONS, half);
        run(scheduler, model, &schedules);
    }));
    let figures = [
        ("schedules", schedules.load(Ordering::Relaxed)),
        ("violations", u64::from(result.is_err())),
    ];
    figures::record("schedules", name, &figures);
    if let Err(panic) = result {
        eprintln!(
            "{name} fails under the schedule above. To run it again, run this test alone with all lines between the \
             quotation marks in {SCHEDULE}. For all schedules until then: {SEED}={seed}."
        );
        resume_unwind(panic);
    }
}

fn run(scheduler: impl Scheduler + 'static, model: fn(), schedules: &Arc<AtomicU64>) {
    let schedules = schedules.clone();
    Runner::new(scheduler, config()).run(move || {
        schedules.fetch_add(1, Ordering::Relaxed);
        execute(model);
    });
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 128 << 10;
    // The longest execution of a model takes about a tenth.
    config.max_steps = MaxSteps::FailAfter(20_000);
    config
}

fn execute(model: fn()) {
    time::reset();
    thread::reset();
    runtime::reset();
    let serving = thread::spawn(runtime::serve);
    model();
    runtime::stop();
    serving.join().unwrap();
}

/// Starts the host's runtime once: it is a static variable, so it is there in all later executions.
fn start_runtime() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let scheduler = RandomScheduler::new_from_seed(0, 1);
        Runner::new(scheduler, config()).run(|| {
            wait::runtime().unwrap();
        });
    });
}
