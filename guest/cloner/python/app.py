"""Clones BASE to each CLONE, and compares it with BASE where one of the two has data."""

import re
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import copy, inspect, preopens

CHUNK = 1 << 16


def fail(line):
    print(line, file=sys.stderr)
    raise Err(None)


def call(path, function, *args):
    """Calls a function of sandbox:fast-copy. If it fails, prints the path and the code's name."""
    try:
        return function(*args)
    except Err as error:
        code = type(getattr(error.value, "code", error.value)).__name__
        words = re.findall("[A-Z][a-z]*", code.removeprefix("ErrorCode_"))
        fail(f"cloner: {path}: {'-'.join(words).lower()}")


def compare(directory, path, base, clone):
    """Compares two files where the one at the path has data. Returns how many bytes that are."""
    end = size = 0
    page = [None] * 1024
    while len(page) == 1024:
        page = call(path, inspect.data_ranges, directory, path, end)
        for data in page:
            end = data.offset + data.length
            size += data.length
            for offset in range(data.offset, end, CHUNK):
                base.seek(offset)
                clone.seek(offset)
                chunk = base.read(length := min(CHUNK, end - offset))
                if len(chunk) != length or clone.read(length) != chunk:
                    fail(f"cloner: {path}: not verified")
    return size


class Run(exports.Run):
    def run(self) -> None:
        directories = preopens.get_directories()
        if len(sys.argv) < 3 or not directories:
            fail("usage: cloner BASE CLONE...")
        directory, _ = directories[0]
        _, base, *clones = sys.argv
        for clone in clones:
            report = call(clone, copy.fast_copy, directory, base, directory, clone, None)
            method, copied, size = report.method.name.lower(), report.copied, report.size
            print(f"{clone}: {method}, {copied} of {size} bytes copied")
            with open(base, "rb") as a, open(clone, "rb") as b:
                compare(directory, clone, a, b)
                print(f"{clone}: verified, {compare(directory, base, a, b)} bytes of data")
