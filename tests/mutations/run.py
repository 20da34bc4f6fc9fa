#!/usr/bin/env python3
"""Removes one safeguard at a time, and checks that a test fails then. As root.

  tests/mutations/run.py [NAME...]    all mutations of list.toml, or some
  tests/mutations/run.py --check      only checks that each of them still applies
  tests/mutations/run.py --tests      only runs the tests, without a mutation

The mutations are made in a copy of the files, target/mutations/tree, with a target directory of its own. First, each
test runs without a mutation, and has to pass. A mutation that does not compile is an error of the list.

Exit status: 0 if a test has failed for each mutation; 1 if not; 2 if the list is wrong.
"""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/mutations/list.toml"
TREE = ROOT / "target/mutations/tree"
TARGET = ROOT / "target/mutations/target"

# How cargo builds each test program, and its working directory.
PROGRAMS = {
    "contract": (["--test", "contract"], "."),
    "engine": (["--package", "fast-copy-engine", "--lib"], "engine"),
    "host": (["--test", "host"], "."),
    "library": (["--lib"], "."),
    "reliability": (["--test", "reliability"], "."),
}

# The seconds after which a test is stopped. A test that hangs has failed. The first test of a guest also builds it.
LIMIT, FIRST_LIMIT = 300, 3600

# The keys of a mutation. `new` may be missing.
KEYS = {"name", "item", "file", "old", "new", "program", "test"}


def wrong(text):
    print(f"tests/mutations/list.toml: {text}", file=sys.stderr)
    sys.exit(2)


def mutated(mutation, directory):
    """Returns a file's text without and with a mutation, which has to apply to it at one place."""
    text = (directory / mutation["file"]).read_text()
    found = text.count(mutation["old"])
    if found != 1:
        wrong(f"{mutation['name']}: {mutation['file']} has the old text {found} times, not once")
    return text, text.replace(mutation["old"], mutation.get("new", ""))


def load():
    mutations = tomllib.loads(LIST.read_text())["mutation"]
    names = collections.Counter(mutation.get("name") for mutation in mutations)
    for mutation in mutations:
        name = mutation.get("name")
        keys = set(mutation)
        if not KEYS - {"new"} <= keys <= KEYS:
            wrong(f"{name}: it has the keys {', '.join(sorted(keys))}")
        if names[name] > 1:
            wrong(f"{name} is there more than once")
        if mutation["program"] not in PROGRAMS:
            wrong(f"{name}: no program {mutation['program']}")
        before, after = mutated(mutation, ROOT)
        if before == after:
            wrong(f"{name}: it changes nothing")
    return mutations


def write(path, content):
    """Writes a file if it differs, so that cargo builds only what has changed."""
    if path.is_symlink() or not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def copy_files():
    """Makes the tree equal to the files of the working tree that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    files = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for old in list(TREE.rglob("*")):
        name = str(old.relative_to(TREE))
        # The tests build guests in the directory target.
        if old.is_file() and name not in files and not name.startswith("target/"):
            old.unlink()
    for name in files:
        write(TREE / name, (ROOT / name).read_bytes())
        (TREE / name).chmod((ROOT / name).stat().st_mode)


def build(program):
    """Builds a test program. Returns the paths of its executables, or None if it does not compile."""
    arguments, _ = PROGRAMS[program]
    command = ["cargo", "test", "--locked", "--no-run", "--message-format=json", *arguments]
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    built = subprocess.run(command, cwd=TREE, env=environment, capture_output=True, text=True)
    if built.returncode != 0:
        for message in map(json.loads, filter(None, built.stdout.splitlines())):
            if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
                print(message["message"]["rendered"], file=sys.stderr)
        print(built.stderr[-2000:], file=sys.stderr)
        return None
    messages = map(json.loads, filter(None, built.stdout.splitlines()))
    executables = [message.get("executable") for message in messages]
    return [executable for executable in executables if executable]


def end_session(leader):
    """Kills all processes of a session."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # proc_pid_stat(5): the name, in parentheses, can contain anything.
            session = int(stat.read_text().rpartition(")")[2].split()[3])
            if session == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass


def run(program, executables, test, limit=LIMIT):
    """Runs a test. Returns how it ended, and what it has printed."""
    _, directory = PROGRAMS[program]
    # Without those that select the long form of a test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAST_COPY_")}
    passed, printed = 0, ""
    for executable in executables:
        # A test's own children end with it, because they belong to its session.
        child = subprocess.Popen(
            [executable, test], cwd=TREE / directory, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        try:
            output, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            end_session(child.pid)
            child.communicate()
            return "hung", printed
        printed += output
        if child.returncode < 0 or "test result: FAILED" in output:
            return "failed", printed
        if child.returncode != 0:
            return "did not run", printed
        for line in output.splitlines():
            if line.startswith("test result: ok. "):
                passed += int(line.split()[3])
    return ("passed" if passed else "ran no test"), printed


def run_tests(mutations):
    """Runs each test without a mutation. Returns whether all have passed."""
    tests = {(mutation["program"], mutation["test"]) for mutation in mutations}
    executables, good = {}, True
    for program, test in sorted(tests):
        if program not in executables:
            executables[program] = build(program) or wrong(f"{program} does not compile")
        ended, printed = run(program, executables[program], test, FIRST_LIMIT)
        if ended != "passed":
            print(f"without a mutation: {program} {test}: {ended}\n{printed[-3000:]}")
            good = False
    print(f"{len(tests)} tests without a mutation: {'passed' if good else 'NOT ALL PASSED'}", flush=True)
    return good


def attempt(mutation):
    """Makes a mutation, and returns how its test has ended."""
    before, after = mutated(mutation, TREE)
    path = TREE / mutation["file"]
    path.write_text(after)
    try:
        executables = build(mutation["program"])
        if executables is None:
            return "does not compile"
        return run(mutation["program"], executables, mutation["test"])[0]
    finally:
        path.write_text(before)


def report(results):
    """Prints a table, and keeps it for docs/reliability.md where tests/reliability/long.sh wants it."""
    rows = collections.defaultdict(collections.Counter)
    for mutation, ended in results:
        counts = rows[mutation["item"]]
        counts["mutations"] += 1
        counts["caught"] += ended in ("failed", "hung")
    lines = []
    for item, counts in rows.items():
        lines.append(f"{item}\tmutations={counts['mutations']}\tcaught={counts['caught']}\n")
    print("".join(lines), end="")
    if kept := os.environ.get("FAST_COPY_RESULTS"):
        with open(kept, "a", encoding="utf-8") as file:
            file.write("".join(lines))


def main(arguments):
    mutations = load()
    if arguments == ["--check"]:
        print(f"{len(mutations)} mutations apply")
        return 0
    only_tests = arguments == ["--tests"]
    names = set() if only_tests else set(arguments)
    if unknown := names - {mutation["name"] for mutation in mutations}:
        wrong(f"no mutation {', '.join(sorted(unknown))}")
    mutations = [mutation for mutation in mutations if not names or mutation["name"] in names]
    copy_files()
    if not run_tests(mutations):
        return 1
    if only_tests:
        return 0
    results = []
    for mutation in mutations:
        started = time.monotonic()
        ended = attempt(mutation)
        results.append((mutation, ended))
        verdict = "caught" if ended in ("failed", "hung") else "NOT CAUGHT"
        seconds = time.monotonic() - started
        where = f"{mutation['program']} {mutation['test']}"
        print(f"{verdict} ({ended}, {seconds:.0f} s): {mutation['name']}: {where}", flush=True)
    report(results)
    if any(ended == "does not compile" for _, ended in results):
        return 2
    return 0 if all(ended in ("failed", "hung") for _, ended in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
