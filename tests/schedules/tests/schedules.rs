//! Explores each model. `src/lib.rs` says how, and `src/explore.rs` how to run one schedule again.

use fast_copy_schedules::explore::explore;
use fast_copy_schedules::models;

#[test]
fn slots_and_waiting_calls() {
    explore("slots and waiting calls", 2_000_000, 20_000, models::slots);
}

#[test]
fn turns_of_stores() {
    explore("turns of stores", 2_000_000, 20_000, models::turns);
}

#[test]
fn idle_threads() {
    explore("idle threads", 2_000_000, 20_000, models::idle_threads);
}

#[test]
fn calls_and_jobs() {
    explore("calls and jobs", 2_000_000, 20_000, models::jobs);
}

#[test]
fn cancelling_and_publishing() {
    explore(
        "cancelling and publishing",
        5_000_000,
        20_000,
        models::publishing,
    );
}

#[test]
fn progress_of_jobs() {
    explore("progress of jobs", 2_000_000, 20_000, models::watched);
}

#[test]
fn calls_that_wait_for_a_held_slot() {
    explore(
        "calls that wait for a held slot",
        2_000_000,
        20_000,
        models::waiting,
    );
}
