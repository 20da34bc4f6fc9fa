//! The example `vm_images`, as a user starts it. `cargo test` builds it.
//!
//! What can't be tested for lack of a program or of root's rights is skipped, which is reported. In CI it is a
//! failure.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fast_copy_test_support::filesystems::make_file_system;

const VMS: [&str; 4] = ["vm1", "vm2", "vm3", "vm4"];

#[test]
fn guests_clone_a_base_image_and_write_to_their_clones() {
    if let Some(ended) = run(&mut Command::new(example())) {
        assert_sound(&ended);
    }
}

/// Each guest overwrites one block that it shares with the base. Once all have, the base shares one less, too.
#[test]
fn clones_on_xfs_share_all_blocks_but_those_that_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(reason) = prepare_xfs(dir.path()) {
        return skipped(&format!("on XFS: {reason}"));
    }
    let Some(ended) = run(&mut on_xfs(dir.path(), &example())) else {
        return;
    };
    assert_sound(&ended);
    for vm in VMS {
        let line = format!("{vm}/{vm}.img: reflink, 0 bytes copied");
        assert!(ended.stdout.lines().any(|found| found == line), "{line}");
    }
    let base_shared = ended.shared("base");
    for name in ["base"].iter().chain(&VMS) {
        let [before, after] = ended.shared(name);
        assert_eq!([before, after], base_shared, "{name}");
        assert_eq!(before - after, 4, "{name}, in KiB");
    }
}

#[test]
fn a_check_that_fails_is_a_failure() {
    let programs = tempfile::tempdir().unwrap();
    let e2fsck = programs.path().join("e2fsck");
    fs::write(&e2fsck, "#!/bin/sh\necho unsound\nexit 4\n").unwrap();
    fs::set_permissions(&e2fsck, PermissionsExt::from_mode(0o755)).unwrap();
    let mut path = programs.path().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    if let Some(ended) = run(Command::new(example()).env("PATH", path)) {
        assert_eq!(ended.status, 1);
        assert_eq!(ended.stderr, "vm_images: 5 checks failed\n");
        let line = "FAILED: e2fsck -fn images/base.img: exit status: 4\nunsound\n";
        assert!(ended.stdout.contains(line));
    }
}

/// What the example printed, and its exit status.
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn count(&self, start: &str) -> usize {
        let lines = self.stdout.lines();
        lines.filter(|line| line.starts_with(start)).count()
    }

    /// Returns the shared bytes of an image in KiB: before the guests write to it, and after.
    fn shared(&self, name: &str) -> [u64; 2] {
        let rows = self.stdout.lines().filter_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            match columns[..] {
                [first, _, _, shared, _] if first == name => Some(shared.parse().unwrap()),
                _ => None,
            }
        });
        rows.collect::<Vec<_>>().try_into().unwrap()
    }
}

/// Fails unless the example has ended well, with a line for each thing it did.
#[track_caller]
fn assert_sound(ended: &Ended) {
    assert_eq!((ended.status, &*ended.stderr), (0, ""));
    for vm in VMS {
        // A clone and a write, and a row in each table.
        assert_eq!(ended.count(&format!("{vm}/{vm}.img: ")), 2);
        assert_eq!(ended.count(&format!("{vm} ")), 2);
    }
    let not_made = ended.count("not made, ");
    assert_eq!(ended.count("passed: ") + not_made, 14);
    if not_made > 0 {
        skipped(&format!("{not_made} of 14 checks of the images"));
    }
}

fn example() -> PathBuf {
    // The test is in target/PROFILE/deps.
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/vm_images");
    assert!(
        example.exists(),
        "{} is missing: run `cargo build --example vm_images`",
        example.display()
    );
    example
}

/// Runs the example. Returns `None` if it can't make an image here.
#[track_caller]
fn run(example: &mut Command) -> Option<Ended> {
    let output = example.stdin(Stdio::null()).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // Shown if the test fails.
    println!("{stdout}{stderr}");
    if stderr.contains("mkfs.ext4 is not installed") {
        skipped(stderr.trim());
        return None;
    }
    Some(Ended {
        status: output.status.code().expect("no signal"),
        stdout,
        stderr,
    })
}

/// Makes an XFS in a file. Returns the reason if it can't be made or mounted.
fn prepare_xfs(dir: &Path) -> Result<(), String> {
    let image = dir.join("xfs.img");
    File::create(&image).unwrap().set_len(1 << 30).unwrap();
    fs::create_dir(dir.join("mounted")).unwrap();
    make_file_system("xfs", &image)?;
    let tried = on_xfs(dir, Path::new("true")).output();
    let tried = tried.map_err(|error| format!("unshare: {error}"))?;
    match tried.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned()),
    }
}

/// Returns a command that runs a program with its temporary directory on the XFS. Only the program sees the mount,
/// which ends with it.
fn on_xfs(dir: &Path, program: &Path) -> Command {
    let script = "mount -o loop xfs.img mounted && TMPDIR=$PWD/mounted exec \"$0\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    command.arg(program).current_dir(dir);
    command
}

/// Reports what is skipped. Fails in CI.
#[track_caller]
fn skipped(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped: {what}");
    // Not `eprintln`, which prints nothing if the test succeeds.
    let line = format!("skipped: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
