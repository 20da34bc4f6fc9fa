//! Measures the engine against its peers and against the bare system calls, on real file systems:
//!
//! ```console
//! cargo bench --bench compare                   # everything: 85 minutes, as root
//! cargo bench --bench compare -- dense/ext4     # one group; or one work, or one file system
//! cargo bench --bench compare -- --list         # the groups
//! cargo bench --bench compare -- --report       # the report alone, from the last samples
//! ```
//!
//! A group is one piece of work on one file system. Its contenders take turns, round by round, so that
//! noise of the machine affects all of them. Only figures of the same group are compared. The first round
//! is a warm-up and isn't counted, except for slow contenders, which have no other. After each copy,
//! outside the measured time, its bytes are compared with the source's (for clones that take
//! microseconds, one copy of each turn), and its allocated bytes are recorded. A copy by this crate that
//! allocates more than its source's data fails the run.
//!
//! The samples are written to `benches/results/samples.tsv`. The report and the charts are made from
//! that file.

mod bars;
mod charts;
mod checks;
mod clones;
mod contenders;
mod disks;
mod group;
mod guests;
mod in_flight;
mod inputs;
mod machine;
mod memory;
mod peers;
mod report;
mod reserve;
mod results;
mod scaling;
mod small_files;
mod summary;
mod turns;
mod units;
mod whole_files;

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use fast_copy_test_support::namespace;

use crate::disks::Disks;
use crate::group::Group;
use crate::reserve::Reserve;
use crate::results::Results;

fn groups() -> Vec<Group> {
    let mut groups = whole_files::groups();
    groups.extend(clones::groups());
    groups.extend(small_files::groups());
    groups.extend(scaling::groups());
    groups.extend(in_flight::groups());
    groups.extend(memory::groups());
    groups
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    if let [flag, rest @ ..] = args.as_slice()
        && flag == memory::FLAG
    {
        return memory::in_child(rest);
    }
    let groups = groups();
    match args.first().map(String::as_str) {
        Some("--list") => {
            for group in &groups {
                println!("{}", group.name());
            }
            return Ok(());
        }
        Some("--report") => return report::write(&Results::load()?),
        _ => {}
    }
    for wanted in &args {
        ensure!(
            groups.iter().any(|group| group.is(wanted)),
            "there is no group {wanted}; --list shows them"
        );
    }
    let chosen: Vec<&Group> = groups
        .iter()
        .filter(|group| args.is_empty() || args.iter().any(|wanted| group.is(wanted)))
        .collect();

    namespace::enter().map_err(|reason| anyhow!("needs root, to mount file systems: {reason}"))?;
    let mut results = match args.is_empty() {
        true => Results::default(),
        false => Results::load().unwrap_or_default(),
    };
    results.describe_machine(machine::describe());
    let this_run = machine::run();
    let _reserve = machine::reports_free_pages()
        .then(Reserve::new)
        .transpose()?;
    let disks = Disks::new()?;
    let mut failed = Vec::new();
    for group in chosen {
        println!("\n{}", group.name());
        // Each group gets a new file system, without effects of the group before.
        let disk = disks.first(group.on.split('-').next().unwrap())?;
        results.start(group.work, group.on, &this_run);
        if let Err(error) = (group.run)(group, &disks, &disk.fs, &mut results) {
            eprintln!("{}: {error:#}", group.name());
            results.remove(group.work, group.on);
            failed.push(group.name());
        }
        results.save()?;
    }
    report::write(&results)?;
    ensure!(
        failed.is_empty(),
        "failed, so not in the results: {}",
        failed.join(", ")
    );
    Ok(())
}
