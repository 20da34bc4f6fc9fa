// Clones BASE to each CLONE, and compares it with BASE where one of the two has data.
import { fastCopy } from 'sandbox:fast-copy/copy@0.2.0';
import { dataRanges } from 'sandbox:fast-copy/inspect@0.2.0';
import { getArguments } from 'wasi:cli/environment@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';

const CHUNK = 1n << 16n;

function fail(line) {
  console.error(line);
  throw undefined;
}

/** Calls a function of sandbox:fast-copy. If it fails, prints the path and the code's name. */
function call(path, body) {
  try {
    return body();
  } catch (error) {
    const code = error.payload?.code ?? error.payload;
    if (!code) throw error;
    fail(`cloner: ${path}: ${code.tag}`);
  }
}

/** Compares two files where the one at the path has data. Returns how many bytes that are. */
function compare(directory, path, base, clone) {
  let at = 0n, bytes = 0n, page;
  do {
    page = call(path, () => dataRanges(directory, path, at));
    for (const { offset, length } of page) {
      const end = offset + length;
      bytes += length;
      for (at = offset; at < end; ) {
        const [a] = base.read(end - at < CHUNK ? end - at : CHUNK, at);
        const [b] = clone.read(BigInt(a.length), at);
        const equal = b.length > 0 && b.every((byte, i) => byte === a[i]);
        if (!equal) fail(`cloner: ${path}: not verified`);
        at += BigInt(b.length);
      }
    }
  } while (page.length === 1024);
  return bytes;
}

export const run = {
  run() {
    const [, base, ...clones] = getArguments();
    const [[directory] = []] = getDirectories();
    if (!clones.length || !directory) fail('usage: cloner BASE CLONE...');
    for (const clone of clones) {
      const report = call(clone, () => fastCopy(directory, base, directory, clone));
      console.log(`${clone}: ${report.method}, ${report.copied} of ${report.size} bytes copied`);
      const files = [base, clone].map((path) => directory.openAt({}, path, {}, { read: true }));
      compare(directory, clone, ...files);
      console.log(`${clone}: verified, ${compare(directory, base, ...files)} bytes of data`);
    }
  },
};
