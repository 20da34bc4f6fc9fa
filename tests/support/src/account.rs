//! What a test program did not run, and why.

use std::fmt::{self, Display};

use libtest_mimic::Trial;

use crate::features::Feature;
use crate::namespace::Namespaces;

/// A test on one file system.
pub struct Planned {
    /// The file system.
    pub place: String,
    /// Why the test is ignored.
    pub lack: Option<Lack>,
    pub trial: Trial,
}

/// What a test needs and doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    Root,
    /// Features of the file system.
    Features(Vec<Feature>),
    /// Something else, which these words name.
    Other(String),
}

impl Lack {
    /// Returns what the missing features mean, if there are any.
    pub fn of<'a>(missing: impl Iterator<Item = &'a Feature>) -> Option<Self> {
        let missing: Vec<_> = missing.copied().collect();
        if missing.is_empty() {
            return None;
        }
        let root_has_them = missing.iter().all(|feature| feature.may_need_root());
        match root_has_them && Namespaces::current() != Namespaces::OfRoot {
            true => Some(Lack::Root),
            false => Some(Lack::Features(missing)),
        }
    }

    /// Returns what is missing, without an explanation in parentheses.
    pub fn short(&self) -> String {
        let text = self.to_string();
        let short = text.split(" (").next();
        short.unwrap_or_default().to_owned()
    }
}

impl Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Root => f.write_str("root"),
            Lack::Features(features) => {
                let names: Vec<_> = features.iter().map(|one| format!("{one:?}")).collect();
                f.write_str(&names.join(" and "))
            }
            Lack::Other(text) => f.write_str(text),
        }
    }
}

/// The number of tests that run on each file system, and what the others need.
#[derive(Default)]
pub struct Account {
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    name: String,
    ran: usize,
    need_root: usize,
    need_features: usize,
    /// The features that one of them needs.
    features: Vec<Feature>,
    need_other: usize,
    other: String,
}

impl Account {
    /// Makes the account of the tests that were selected.
    pub fn new<'a>(planned: impl Iterator<Item = &'a Planned>) -> Self {
        let mut account = Self::default();
        planned.for_each(|planned| account.add(planned));
        account
    }

    /// Adds a test, which runs or is ignored.
    fn add(&mut self, planned: &Planned) {
        let place = match self.places.last_mut() {
            Some(last) if last.name == planned.place => last,
            _ => self.places.push_mut(Place {
                name: planned.place.clone(),
                ..Place::default()
            }),
        };
        match &planned.lack {
            None => place.ran += 1,
            Some(Lack::Root) => place.need_root += 1,
            Some(Lack::Features(features)) => {
                place.need_features += 1;
                place.features.extend(features);
            }
            Some(Lack::Other(text)) => {
                place.need_other += 1;
                place.other.clone_from(text);
            }
        }
    }

    /// Whether a test is ignored.
    pub fn lacks_something(&self) -> bool {
        let needed = |place: &Place| place.need_root + place.need_features + place.need_other;
        self.places.iter().any(|place| needed(place) > 0)
    }

    /// Returns the lines to print at the end.
    pub fn report(&self, namespaces: &Namespaces) -> String {
        let mut lines = vec!["Some tests did not run:".to_owned()];
        lines.extend(self.places.iter().map(|place| format!("  {place}")));
        if let Namespaces::None(reason) = namespaces {
            lines.push(format!("Namespaces could not be entered ({reason})."));
        }
        if self.places.iter().any(|place| place.need_root > 0) {
            lines.push("Run as root to run those that need it.".to_owned());
        }
        lines.join("\n")
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tests ran on {}", self.ran, self.name)?;
        let mut separator = "; ";
        let mut need = |count, what: &str| {
            if count == 0 {
                return Ok(());
            }
            let verb = if count == 1 { "needs" } else { "need" };
            write!(f, "{separator}{count} {verb} {what}")?;
            separator = ", ";
            Ok(())
        };
        let mut features: Vec<String> = Vec::new();
        for feature in &self.features {
            let name = format!("{feature:?}");
            if !feature.may_need_root() && !features.contains(&name) {
                features.push(name);
            }
        }
        need(self.need_root, "root")?;
        let features = format!("features that it lacks ({})", features.join(", "));
        need(self.need_features, &features)?;
        need(self.need_other, &self.other)
    }
}
