//! A test program that runs each of its tests on several file systems.
//!
//! Root mounts them. An ordinary user tests on a directory in `TMPDIR` and, in a user namespace, on tmpfs.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::account::{Account, Lack, Planned};
use crate::features::{self, Feature};
use crate::filesystems::{DIRECTORY, FileSystem, Mounts, NAMES};
use crate::namespace::Namespaces;
use crate::{child, guest_host, namespace};

/// The environment variable with directories to test on instead of the file systems that the program
/// mounts: pairs `NAME=PATH`, separated by spaces. Other kinds of file systems are tested in this way. The
/// program tries what each can do, and prints which tests are not applicable there.
pub const DIRECTORIES: &str = "FAST_COPY_TEST_DIRECTORIES";

/// A test, which runs once on each file system that has the features it needs.
pub struct Test {
    pub name: &'static str,
    pub run: fn(&FileSystem),
    pub needs: &'static [Feature],
}

impl Test {
    fn missing<'a>(&self, features: &'a [Feature]) -> impl Iterator<Item = &'static Feature> + 'a {
        let missing = |feature: &&Feature| !features.contains(feature);
        self.needs.iter().filter(missing)
    }
}

/// Declares the tests of a module: functions, each with the features that its file system needs, if any.
#[macro_export]
macro_rules! tests {
    ($($name:ident $(where $($feature:ident)and+)?),+ $(,)?) => {
        pub const TESTS: &[$crate::suite::Test] = &[$($crate::suite::Test {
            name: stringify!($name),
            run: $name,
            needs: &[$($($crate::features::Feature::$feature),+)?],
        }),+];
    };
}

/// The tests of a program, and what they need.
pub struct Suite<'a> {
    /// The file systems that root tests on. An ordinary user tests on a directory and, if it is one of these, on
    /// tmpfs.
    pub file_systems: &'a [&'static str],
    /// The size of each file system, in bytes. As much must be free for the directory.
    pub size: u64,
    pub modules: &'a [(&'a str, &'static [Test])],
    /// A program that the tests need, and an argument with which it does nothing.
    pub needs: Option<(&'a str, &'a str)>,
    /// Whether no two tests may run at the same time.
    pub one_at_a_time: bool,
}

impl Suite<'_> {
    /// Runs the tests, as the `main` function of their program. The program also runs itself as a child,
    /// which [`child`], [`guest_host`] and [`namespace`] do.
    ///
    /// Tests that lack a program, a file system or root's rights are ignored. At the end, the program prints how
    /// many ran on each file system, and what the others need. If `CI` is set, it fails then.
    pub fn main(&self) -> ExitCode {
        let args: Vec<String> = std::env::args().collect();
        match args.get(1).map(String::as_str) {
            Some(child::FLAG) => return child::main(&args[2..]),
            Some(guest_host::FLAG) => return guest_host::main(&args[2..]),
            Some(namespace::FLAG) => return namespace::main(&args[2..]),
            _ => {}
        }
        let mut arguments = Arguments::from_args();
        if self.one_at_a_time {
            arguments.test_threads = Some(1);
        }
        let namespaces = namespace::enter_if_possible();
        let mounts = Mounts::new();
        let planned = match std::env::var(DIRECTORIES) {
            Ok(pairs) => self.plan_given(&pairs),
            Err(_) => Ok(self.plan_usual(&mounts, &namespaces, &arguments)),
        };
        let planned = match planned {
            Ok(planned) => planned,
            Err(reason) => {
                eprintln!("{reason}");
                return ExitCode::FAILURE;
            }
        };

        let selected = |planned: &&Planned| !arguments.is_filtered_out(&planned.trial);
        let account = Account::new(planned.iter().filter(selected));
        let trials = planned.into_iter().map(|planned| planned.trial).collect();
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(mounts);
        if !arguments.list && account.lacks_something() {
            eprintln!("{}", account.report(&namespaces));
            if std::env::var_os("CI").is_some() {
                eprintln!("CI is set, so no test may be ignored.");
                return ExitCode::FAILURE;
            }
        }
        conclusion.exit_code()
    }

    /// Plans the tests on the file systems that root or an ordinary user tests on. If the filter begins with the
    /// name of a file system and `::`, the others are not mounted.
    fn plan_usual(
        &self,
        mounts: &Mounts,
        namespaces: &Namespaces,
        arguments: &Arguments,
    ) -> Vec<Planned> {
        let is_root = *namespaces == Namespaces::OfRoot;
        let directory = (!is_root).then_some(&DIRECTORY);
        let filter = arguments.filter.as_deref().unwrap_or_default();
        let filter_names_other = |name: &str| match filter.split_once("::") {
            Some((first, _)) => NAMES.contains(&first) && first != name,
            None => false,
        };
        let names = directory.into_iter().chain(self.file_systems);
        let names = names.filter(|name| !filter_names_other(name));
        let planned = names.flat_map(|name| {
            let found = match is_root && arguments.list {
                // What root can mount is known.
                true => Ok(None),
                false => self.file_system(name, mounts, namespaces).map(Some),
            };
            let for_root = NAMES.contains(name).then(|| features::known(name));
            self.plan(name, found, for_root)
        });
        planned.collect()
    }

    /// Plans the tests that apply to the file systems of [`DIRECTORIES`]. Prints the features of each, and the
    /// tests that don't apply.
    fn plan_given(&self, pairs: &str) -> Result<Vec<Planned>, String> {
        let mut planned = Vec::new();
        for pair in pairs.split_whitespace() {
            let fs = self.missing_program().and_then(|()| mounted_already(pair));
            let fs = fs.map_err(|reason| format!("{pair} can't be tested: {reason}"))?;
            let name = fs.name;
            eprintln!("{name} has {:?}", fs.features());
            match features::tick(&fs.root) {
                Ok(tick) => eprintln!("{name} has modification times at least {tick:?} apart"),
                Err(error) => eprintln!("{name} has no modification times: {error}"),
            }
            for test in self.plan(name, Ok(Some(fs)), None) {
                match &test.lack {
                    None => planned.push(test),
                    Some(lack) => {
                        let title = test.trial.name();
                        eprintln!("{title} is not applicable: it needs {lack}");
                    }
                }
            }
        }
        Ok(planned)
    }

    /// Mounts or makes a file system.
    fn file_system(
        &self,
        name: &'static str,
        mounts: &Mounts,
        namespaces: &Namespaces,
    ) -> Result<FileSystem, Lack> {
        self.missing_program().map_err(Lack::Other)?;
        match (name, namespaces) {
            (DIRECTORY, _) => mounts.directory(self.size).map_err(Lack::Other),
            (_, Namespaces::OfRoot) => {
                let mounted = mounts.mount(name, self.size);
                mounted.map_err(|reason| Lack::Other(format!("{name} ({reason})")))
            }
            ("tmpfs", Namespaces::OfUser) => mounts
                .mount_tmpfs_of_user(self.size)
                .map_err(|reason| Lack::Other(format!("tmpfs ({reason})"))),
            ("tmpfs", Namespaces::None(_)) => {
                Err(Lack::Other("root or a user namespace".to_owned()))
            }
            _ => Err(Lack::Root),
        }
    }

    /// Returns the tests of a file system, those that can't run there as ignored ones. Those that need more than
    /// the features `for_root`, which the file system has for root, are left out.
    fn plan(
        &self,
        name: &'static str,
        found: Result<Option<FileSystem>, Lack>,
        for_root: Option<Vec<Feature>>,
    ) -> Vec<Planned> {
        let (fs, unavailable) = match found {
            Ok(fs) => (fs.map(Arc::new), None),
            Err(lack) => (None, Some(lack)),
        };
        let place = match &fs {
            Some(fs) if fs.name == DIRECTORY => format!("{name} ({})", fs.kind),
            _ => name.to_owned(),
        };
        let mut planned = Vec::new();
        for (module, tests) in self.modules {
            for test in *tests {
                let has_all = |features: &Vec<_>| test.missing(features).next().is_none();
                if !for_root.as_ref().is_none_or(has_all) {
                    continue;
                }
                let missing = |fs: &Arc<FileSystem>| Lack::of(test.missing(fs.features()));
                let lack = unavailable
                    .clone()
                    .or_else(|| fs.as_ref().and_then(missing));
                planned.push(Planned {
                    place: place.clone(),
                    trial: trial(format!("{name}::{module}::{}", test.name), test, &fs, &lack),
                    lack,
                });
            }
        }
        planned
    }

    fn missing_program(&self) -> Result<(), String> {
        let Some((program, harmless)) = self.needs else {
            return Ok(());
        };
        match Command::new(program).arg(harmless).output() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{program} ({error})")),
        }
    }
}

/// Returns a test as libtest-mimic runs or ignores it.
fn trial(title: String, test: &Test, fs: &Option<Arc<FileSystem>>, lack: &Option<Lack>) -> Trial {
    let (fs, run) = (fs.clone(), test.run);
    let needs = lack.as_ref().map(|lack| format!("it needs {lack}"));
    let trial = Trial::test(title, move || match (needs, fs) {
        (Some(needs), _) => Err(needs.into()),
        (None, None) => Err("the file system is not mounted".into()),
        (None, Some(fs)) => {
            run(&fs);
            Ok(())
        }
    });
    match lack {
        Some(lack) => trial
            .with_ignored_flag(true)
            .with_kind(format!("needs {}", lack.short())),
        None => trial,
    }
}

/// Returns the file system of a pair `NAME=PATH`.
fn mounted_already(pair: &str) -> Result<FileSystem, String> {
    let (name, root) = pair.split_once('=').ok_or("it is not NAME=PATH")?;
    let fs = FileSystem::probe(name.to_owned().leak(), root.into());
    fs.map_err(|error| error.to_string())
}
