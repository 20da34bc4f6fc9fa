//! A test program that runs each of its tests on several file systems.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::filesystems::{FileSystem, Mounts};
use crate::{child, guest_host, namespace};

/// A test, which runs once on each file system that it applies to.
pub struct Test {
    pub name: &'static str,
    pub run: fn(&FileSystem),
    pub applies_to: fn(&str) -> bool,
}

/// Declares the tests of a module: functions, each with a condition if it applies to some file systems
/// only.
#[macro_export]
macro_rules! tests {
    ($($name:ident $(where $condition:path)?),+ $(,)?) => {
        pub const TESTS: &[$crate::suite::Test] = &[$($crate::tests!(@ $name $($condition)?)),+];
    };
    (@ $name:ident) => { $crate::tests!(@ $name $crate::suite::everywhere) };
    (@ $name:ident $condition:path) => {
        $crate::suite::Test { name: stringify!($name), run: $name, applies_to: $condition }
    };
}

/// The condition of a test that applies to every file system.
pub fn everywhere(_file_system: &str) -> bool {
    true
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
        for name in self.file_systems {
            let mounted = match &mounts {
                _ if arguments.list => Err("only listed".to_owned()),
                Ok(mounts) => mounts.mount(name, self.size),
                Err(reason) => Err(reason.clone()),
            };
            if let (Err(reason), false) = (&mounted, arguments.list) {
                eprintln!("{name} can't be tested here, so its tests are ignored: {reason}");
                ignored = true;
            }
            self.add_trials(name, mounted.ok(), &mut trials);
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(mounts);
        if ignored && std::env::var_os("CI").is_some() {
            eprintln!("In CI no test may be ignored.");
            return ExitCode::FAILURE;
        }
        conclusion.exit_code()
    }

    /// Adds the tests that apply to a file system, ignored where it isn't mounted.
    fn add_trials(&self, name: &str, fs: Option<FileSystem>, trials: &mut Vec<Trial>) {
        let fs = fs.map(Arc::new);
        for (module, tests) in self.modules {
            for test in tests.iter().filter(|test| (test.applies_to)(name)) {
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
