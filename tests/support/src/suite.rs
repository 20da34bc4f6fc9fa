//! A test program that runs each of its tests on several file systems.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::features::{self, Feature};
use crate::filesystems::{FileSystem, Mounts};
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
    pub file_systems: &'a [&'static str],
    /// The size of each file system, in bytes.
    pub size: u64,
    pub modules: &'a [(&'a str, &'static [Test])],
    /// A program that the tests need, and an argument with which it does nothing.
    pub needs: Option<(&'a str, &'a str)>,
    /// Whether no two tests may run at the same time.
    pub one_at_a_time: bool,
}

impl Suite<'_> {
    /// Runs the tests, as the `main` function of their program. The program also runs itself as a child,
    /// which [`child`] and [`guest_host`] do.
    ///
    /// Tests whose file system can't be mounted, and all tests if a program is missing, are ignored with
    /// the reason. If `CI` is set, the program fails then.
    pub fn main(&self) -> ExitCode {
        let args: Vec<String> = std::env::args().collect();
        match args.get(1).map(String::as_str) {
            Some(child::FLAG) => return child::main(&args[2..]),
            Some(guest_host::FLAG) => return guest_host::main(&args[2..]),
            _ => {}
        }
        let mut arguments = Arguments::from_args();
        if self.one_at_a_time {
            arguments.test_threads = Some(1);
        }
        let mounts = namespace::enter()
            .and_then(|()| self.missing_program())
            .map(|()| Mounts::new());

        let mut trials = Vec::new();
        let mut ignored = false;
        let given = std::env::var(DIRECTORIES).ok();
        for pair in given.as_deref().unwrap_or_default().split_whitespace() {
            let ready = mounts.as_ref().map_err(|reason| reason.clone());
            match ready.and_then(|_| mounted_already(pair)) {
                Ok(fs) => self.add_applicable_trials(fs, &mut trials),
                Err(reason) => {
                    eprintln!("{pair} can't be tested: {reason}");
                    return ExitCode::FAILURE;
                }
            }
        }
        let usual = match given {
            Some(_) => &[],
            None => self.file_systems,
        };
        for name in usual {
            let mounted = match &mounts {
                _ if arguments.list => Err("only listed".to_owned()),
                Ok(mounts) => mounts.mount(name, self.size),
                Err(reason) => Err(reason.clone()),
            };
            if let (Err(reason), false) = (&mounted, arguments.list) {
                eprintln!("{name} can't be tested here, so its tests are ignored: {reason}");
                ignored = true;
            }
            self.add_trials(name, &features::known(name), mounted.ok(), &mut trials);
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(mounts);
        if ignored && std::env::var_os("CI").is_some() {
            eprintln!("In CI no test may be ignored.");
            return ExitCode::FAILURE;
        }
        conclusion.exit_code()
    }

    /// Adds the tests that apply to a file system of [`DIRECTORIES`]. Prints the features of the file
    /// system, and the tests that don't apply.
    fn add_applicable_trials(&self, fs: FileSystem, trials: &mut Vec<Trial>) {
        let (name, features) = (fs.name, fs.features().to_vec());
        eprintln!("{name} has {features:?}");
        match features::tick(&fs.root) {
            Ok(tick) => eprintln!("{name} has modification times at least {tick:?} apart"),
            Err(error) => eprintln!("{name} has no modification times: {error}"),
        }
        for (module, tests) in self.modules {
            for test in tests.iter() {
                let missing: Vec<_> = test.missing(&features).collect();
                if !missing.is_empty() {
                    let title = format!("{name}::{module}::{}", test.name);
                    eprintln!("{title} is not applicable: it needs {missing:?}");
                }
            }
        }
        self.add_trials(name, &features, Some(fs), trials);
    }

    /// Adds the tests that apply to a file system, ignored where it isn't mounted.
    fn add_trials(
        &self,
        name: &str,
        features: &[Feature],
        fs: Option<FileSystem>,
        trials: &mut Vec<Trial>,
    ) {
        let fs = fs.map(Arc::new);
        for (module, tests) in self.modules {
            let applies = |test: &&Test| test.missing(features).next().is_none();
            for test in tests.iter().filter(applies) {
                let (fs, missing, run) = (fs.clone(), fs.is_none(), test.run);
                let title = format!("{name}::{module}::{}", test.name);
                let trial = Trial::test(title, move || {
                    run(fs.as_deref().ok_or("the file system is not mounted")?);
                    Ok(())
                });
                trials.push(trial.with_ignored_flag(missing));
            }
        }
    }

    fn missing_program(&self) -> Result<(), String> {
        let Some((program, harmless)) = self.needs else {
            return Ok(());
        };
        match Command::new(program).arg(harmless).output() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{program}: {error}")),
        }
    }
}

/// Returns the file system of a pair `NAME=PATH`.
fn mounted_already(pair: &str) -> Result<FileSystem, String> {
    let (name, root) = pair.split_once('=').ok_or("it is not NAME=PATH")?;
    let fs = FileSystem::probe(name.to_owned().leak(), root.into());
    fs.map_err(|error| error.to_string())
}
