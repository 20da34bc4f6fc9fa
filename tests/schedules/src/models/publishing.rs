use super::{Count, Shared, after, block_on, choose, linger, maybe, pass, poll_times, wait_until};
use crate::admission::{CopySlots, Place, Places, Queue};
use crate::control::CopyControl;
use crate::dispatch::{self, Admission, Outcome, Start, Ticket};
use crate::error::CallError;
use crate::sync::Arc;
use crate::time::{Duration, Instant};
use crate::{CopyReport, step, thread};

/// The limits on the time that a call waits, and that it works.
const LIMIT: Duration = Duration::from_secs(1);

/// A call makes a copy, and meanwhile it is cancelled, or time passes, or its caller drops it.
///
/// Exactly one of cancelling and publishing wins, and all agree on which: a cancel that says that the copy will not be
/// published, an outcome that is an error, and a dropped call before the point of no return mean that it is never
/// published. A copy that is being published completes, and its caller gets `Ok`.
pub fn publishing() {
    let slots = CopySlots::new(1);
    let queue = Queue::new(slots.clone(), 1, 2);
    let places = Places::new(1, "too many jobs");
    let copy = Copy {
        control: CopyControl::new(),
        attempts: choose(1..=2),
        fails: choose(0..=4) == 0,
        called: Count::default(),
        published: Count::default(),
        retracted: Count::default(),
        ended: Count::default(),
        publishing: Shared::default(),
    };
    let mut threads = Vec::new();
    if maybe() {
        let permit = queue.try_permit().unwrap();
        threads.push(thread::spawn(move || drop(permit)));
    }
    let ticket = Ticket {
        queue: queue.clone(),
        wait_until: if maybe() { after(LIMIT) } else { None },
        timeout: maybe().then_some(LIMIT),
        control: copy.control.clone(),
    };
    let place = Arc::new(places.take().unwrap());
    let work = copy.clone();
    let (running, begin) = dispatch::prepare(ticket, Some(place.clone()), move |admission| {
        work.make(admission)
    });
    let answers: Shared<Vec<Answer>> = Shared::default();
    if maybe() {
        let (control, answers) = (copy.control.clone(), answers.clone());
        threads.push(thread::spawn(move || {
            linger();
            let will_not_publish = control.cancel();
            answers
                .lock()
                .unwrap()
                .push(Answer::Cancel(will_not_publish));
        }));
    }
    for _ in 0..choose(0..=2) {
        let (mut end, copy) = (running.end().clone(), copy.clone());
        threads.push(thread::spawn(move || {
            let looks = choose(0..=10);
            if !(0..looks).any(|_| end.has_ended()) {
                block_on(end.wait());
            }
            assert!(copy.has_ended(), "the end comes before the work has ended");
            assert!(end.has_ended(), "the end is gone again");
        }));
    }
    // The copy reports the timeout itself, or its caller gives up on it first.
    let time = if maybe() { LIMIT } else { 2 * LIMIT };
    threads.push(pass(time, 2));
    begin();
    let outcome = if maybe() {
        let outcome = block_on(running.outcome());
        answers
            .lock()
            .unwrap()
            .push(Answer::Outcome(outcome.is_ok()));
        Some(outcome)
    } else {
        let outcome = poll_times(choose(0..=3), running.outcome());
        assert!(
            copy.has_ended() || *copy.publishing.lock().unwrap(),
            "the call is dropped, and its copy goes on"
        );
        outcome
    };
    if let Some(outcome) = &outcome {
        check_freed(outcome, &slots, &place);
    }
    drop(place);
    for thread in threads {
        thread.join().unwrap();
    }
    wait_until(|| copy.called.get() > 0 && slots.free() == 1 && places.taken() == 0);
    check(&copy, outcome.as_ref(), &answers.lock().unwrap());
}

/// What a thread has learnt about the copy.
#[derive(Debug)]
enum Answer {
    /// Whether the copy will not be published.
    Cancel(bool),
    /// Whether the outcome was `Ok`.
    Outcome(bool),
}

/// A copy that goes through the engine's steps.
#[derive(Clone)]
struct Copy {
    control: CopyControl,
    /// How often it is made until it is published.
    attempts: usize,
    /// Whether the last attempt fails before it is published.
    fails: bool,
    called: Count,
    published: Count,
    retracted: Count,
    ended: Count,
    /// Whether the copy is past the point of no return.
    publishing: Shared<bool>,
}

impl Copy {
    fn make(&self, admission: Admission) -> Outcome<CopyReport> {
        self.called.one_more();
        let outcome = admission.and_then(|start| self.attempts(start));
        self.ended.one_more();
        outcome
    }

    /// Whether the copy has ended, or is cancelled.
    fn has_ended(&self) -> bool {
        self.ended.get() > 0 || self.control.is_cancelled()
    }

    fn attempts(&self, start: Start) -> Outcome<CopyReport> {
        if self.control.begin(2).is_err() {
            return Err(CallError::Cancelled);
        }
        let outcome = self.attempt(start);
        self.control.end();
        outcome
    }

    fn attempt(&self, start: Start) -> Outcome<CopyReport> {
        for attempt in 1..=self.attempts {
            for _ in 0..2 {
                self.check(start)?;
                self.control.add_copied(1);
            }
            let is_last = attempt == self.attempts;
            if is_last && self.fails {
                return Err(CallError::Failed);
            }
            self.check(start)?;
            if !self.control.begin_publishing() {
                return Err(CallError::Cancelled);
            }
            *self.publishing.lock().unwrap() = true;
            if is_last {
                break;
            }
            // The file cannot be linked, so the copy is made again under a name.
            self.retracted.one_more();
            self.control.retract_publishing();
            *self.publishing.lock().unwrap() = false;
        }
        step();
        self.published.one_more();
        step();
        Ok(CopyReport)
    }

    fn check(&self, start: Start) -> Outcome<()> {
        match start.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(CallError::TimedOut("the copy's own deadline"))
            }
            _ if self.control.is_cancelled() => Err(CallError::Cancelled),
            _ => Ok(()),
        }
    }
}

/// The slot and the work's share of the place are free before the caller knows the outcome, unless the caller has
/// given up on the work.
fn check_freed(outcome: &Outcome<CopyReport>, slots: &CopySlots, place: &Arc<Place>) {
    if outcome.is_ok() {
        assert_eq!(slots.free(), 1, "the slot is not free");
        assert_eq!(Arc::strong_count(place), 1, "the place is not free");
    }
}

fn check(copy: &Copy, outcome: Option<&Outcome<CopyReport>>, answers: &[Answer]) {
    let published = copy.published.get();
    assert_eq!(copy.called.get(), 1, "the work is called once");
    assert!(published <= 1);
    let is_published = published == 1;
    let is_cancelled = copy.control.is_cancelled();
    assert!(!(is_cancelled && is_published), "cancelled and published");
    match outcome {
        Some(Ok(CopyReport)) => assert!(is_published, "Ok without a copy"),
        Some(Err(CallError::Lost)) => panic!("the outcome is lost"),
        Some(Err(error)) => assert!(!is_published, "{error:?}, and published"),
        None => {}
    }
    for answer in answers {
        match answer {
            Answer::Cancel(true) => assert!(!is_published, "cancelled: {answers:?}"),
            // It was too late: it was being published, or it had failed. Only a copy that was made again after
            // that was cancelled in the end.
            Answer::Cancel(false) => {
                let was_retracted = copy.retracted.get() > 0;
                let failed = outcome.is_some_and(Result::is_err) || copy.fails;
                assert!(is_published || was_retracted || failed || outcome.is_none());
            }
            Answer::Outcome(is_ok) => assert_eq!(*is_ok, is_published),
        }
    }
}
