//! Copies one file, with the options and limits of the engine. `--help` prints the usage.

use std::error::Error;
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fast_copy_engine::{
    CopyError, CopyOptions, CopyQuota, CopyReport, Destination, FreeSpaceFloor, Limits, Sharing,
    Source,
};

const HELP: &str = "\
Usage: copy [OPTION]... fast|sparse SOURCE DESTINATION

Copies SOURCE to DESTINATION. `fast` clones the file where blocks can be shared, and copies the bytes
elsewhere. `sparse` always copies the bytes. Both preserve holes.

  -r                 replace an existing DESTINATION
  -n                 do not synchronise: the copy may not survive a power cut
  -z                 dig holes: blocks of zeros are not allocated in the copy
  -p                 preserve the times of last modification and access
  -s BYTES           size: make the copy larger than SOURCE, by a hole at its end
  -R                 require a reflink: fail where blocks can't be shared
  -q BYTES           quota: fail if the copy takes more
  -f PERCENT:BYTES   floor: fail if the copy would leave less free space, the smaller of the two
  -t MILLISECONDS    deadline: fail if the copy is not complete by then
  --help             print this text

Prints one line: `ok` and the report, or `error` and the reason. Exits with 0 after a copy, 1 after an
error, 2 if the arguments are wrong.
";

/// What the command line asks for.
struct Invocation {
    options: CopyOptions,
    sharing: Sharing,
    source: PathBuf,
    destination: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let invocation = match parse(arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            eprintln!("copy: {error} (--help prints the usage)");
            return ExitCode::from(2);
        }
    };
    match copy(&invocation) {
        Ok(report) => {
            print_report(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error: {error}");
            if let Some(bytes) = error.leftover() {
                eprintln!("copy: a file of {bytes} bytes may be left");
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<Invocation, Box<dyn Error>> {
    let mut arguments = arguments.into_iter();
    let mut next = |what: &str| arguments.next().ok_or(format!("{what} is missing"));
    let mut options = CopyOptions::new();
    let mut limits = Limits::new();
    let function = loop {
        match next("fast or sparse")?.as_str() {
            "-r" => options = options.replace(true),
            "-n" => options = options.durable(false),
            "-z" => options = options.dig_holes(true),
            "-R" => options = options.require_reflink(true),
            "-q" => limits = limits.quota(CopyQuota::new(next("the quota")?.parse()?)),
            "-f" => {
                let floor = next("the floor")?;
                let (percent, bytes) = floor.split_once(':').ok_or("-f needs PERCENT:BYTES")?;
                let floor = FreeSpaceFloor::new(percent.parse()?, bytes.parse()?);
                limits = limits.free_space_floor(floor);
            }
            "-p" => options = options.preserve_times(true),
            "-s" => options = options.size(next("the size")?.parse()?),
            "-t" => {
                let time = Duration::from_millis(next("the deadline")?.parse()?);
                options = options.deadline(Instant::now() + time);
            }
            function => break function.to_owned(),
        }
    };
    let sharing = match function.as_str() {
        "fast" => Sharing::Allowed,
        "sparse" => Sharing::Forbidden,
        other => return Err(format!("unknown option or function: {other}").into()),
    };
    let invocation = Invocation {
        options: options.limits(limits),
        sharing,
        source: next("the source")?.into(),
        destination: next("the destination")?.into(),
    };
    match next("") {
        Ok(extra) => Err(format!("unexpected argument: {extra}").into()),
        Err(_) => Ok(invocation),
    }
}

/// Makes the copy. On a terminal it shows the progress of a copy that moves bytes.
fn copy(invocation: &Invocation) -> Result<CopyReport, CopyError> {
    let source = Source::open(&invocation.source, true)?;
    let destination = Destination::open(&invocation.destination)?;
    let total = source.size().min(source.allocated());
    let on_terminal = stderr().is_terminal();
    let show_progress = |copied: u64| {
        if on_terminal {
            // A percentage needs no exact total. Blocks that are compressed can exceed it.
            let percent = (copied * 100).checked_div(total).unwrap_or(100).min(100);
            eprint!("\r{copied} bytes, {percent} %");
        }
    };
    let result = invocation
        .options
        .copy(&source, &destination, invocation.sharing, &show_progress);
    if on_terminal {
        // Erases the line (ECMA-48, EL).
        eprint!("\r\x1b[K");
        let _ = stderr().flush();
    }
    result
}

fn print_report(report: &CopyReport) {
    print!(
        "ok method={} size={} copied={} allocated={} durable={}",
        report.method, report.size, report.copied, report.allocated, report.durable
    );
    let notes = [
        (report.notes.permissions_wider, "permissions-wider"),
        (report.notes.permissions_narrower, "permissions-narrower"),
        (report.notes.times_not_preserved, "times-not-preserved"),
        (report.notes.holes_not_kept, "holes-not-kept"),
    ];
    for (_, note) in notes.iter().filter(|(applies, _)| *applies) {
        print!(" {note}");
    }
    println!();
}
