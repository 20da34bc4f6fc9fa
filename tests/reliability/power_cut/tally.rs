//! Checks every state of a recording, and counts what is found.

use std::fs::{self, File};
use std::path::PathBuf;

use super::check::{Found, Rules};
use super::contents::Contents;
use super::recording::Recording;
use super::replay::{State, Thoroughness, states};
use super::scratch_disk::ScratchDisk;

/// The most states with a violation that are described for a copy.
const MOST_DESCRIBED: usize = 4;

/// What was found in the states of some copies.
#[derive(Default)]
pub struct Tally {
    /// Whether the states with a violation are kept in files.
    pub keeps_images: bool,
    pub cases: u64,
    pub flushes: u64,
    pub states: u64,
    pub before: u64,
    pub complete: u64,
    pub staging_names: u64,
    pub incomplete: u64,
    pub violations: u64,
    pub described: Vec<String>,
}

impl Tally {
    pub fn figures(&self) -> [(&'static str, u64); 8] {
        [
            ("copies", self.cases),
            ("flushes", self.flushes),
            ("states", self.states),
            ("old or absent", self.before),
            ("complete", self.complete),
            ("with a staging name", self.staging_names),
            ("incomplete (not durable)", self.incomplete),
            ("violations", self.violations),
        ]
    }

    /// Checks every state of a recording.
    pub fn add(
        &mut self,
        what: &str,
        durable: bool,
        (scratch, contents): (&ScratchDisk, &Contents),
        (recording, rules): (&Recording, &Rules),
        thoroughness: &Thoroughness,
    ) {
        self.cases += 1;
        self.flushes += recording.flushes() as u64;
        let mut described = 0;
        let mut count = |state: State| {
            self.states += 1;
            let Err(violation) = self.check(durable, scratch, recording, rules, &state) else {
                return;
            };
            self.violations += 1;
            described += 1;
            if described <= MOST_DESCRIBED {
                let mut text = format!("{what}: {violation}: {}", describe(&state, recording));
                if self.keeps_images {
                    text += &keep(scratch, &state, self.described.len());
                }
                self.described.push(text);
            }
        };
        let (contents, entries) = (contents.clone(), &recording.entries);
        states(contents, entries, recording.begun, thoroughness, &mut count);
    }

    fn check(
        &mut self,
        durable: bool,
        scratch: &ScratchDisk,
        recording: &Recording,
        rules: &Rules,
        state: &State,
    ) -> Result<(), String> {
        let promised = match durable {
            true => recording.returned,
            false => recording.synchronised,
        };
        let is_promised = state.flushed >= promised;
        let mounted = scratch.mount(&state.contents)?;
        let seen = rules.inspect(&mounted.root.join(rules.destination.name()))?;
        drop(mounted);
        self.staging_names += u64::from(seen.staging_names > 0);
        match seen.found {
            Found::Before if is_promised => {
                Err("the copy is lost after its call has returned".to_owned())
            }
            Found::Before => {
                self.before += 1;
                Ok(())
            }
            Found::Complete if is_promised && seen.staging_names > 0 => {
                Err("a staging name is left after the call has returned".to_owned())
            }
            Found::Complete if !seen.has_mode && (durable || is_promised) => {
                Err("the copy lacks permissions".to_owned())
            }
            Found::Complete => {
                self.complete += 1;
                Ok(())
            }
            Found::Incomplete(content) if durable || is_promised => Err(content),
            Found::Incomplete(_) => {
                self.incomplete += 1;
                Ok(())
            }
        }
    }
}

/// Describes how a state was made.
fn describe(state: &State, recording: &Recording) -> String {
    let State { name, flushed, .. } = state;
    let Recording {
        begun, returned, ..
    } = recording;
    let end = recording.entries.len();
    format!(
        "flushed up to entry {flushed}, then {name} (entries {begun} to {end}; when the call returned, they were \
         flushed up to {returned})"
    )
}

/// Keeps a state of a disk in a file. Returns how to look at it.
fn keep(scratch: &ScratchDisk, state: &State, number: usize) -> String {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("power-cut");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{}-{number}.img", scratch.kind()));
    let image = File::create(&path).unwrap();
    image.set_len(scratch.size()).unwrap();
    state.contents.write_to(&image);
    format!(". mount -o loop {} DIRECTORY shows it", path.display())
}
