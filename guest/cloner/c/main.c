// Clones BASE to each CLONE, and compares it with BASE where one of the two has data.
#include "names.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static wasi_filesystem_types_borrow_descriptor_t dir;

static void fail(const char *path, const char *cause) {
  fprintf(stderr, "cloner: %s: %s\n", path, cause);
  exit(1);
}

// Compares two files where the one at PATH has data. Returns how many bytes that are.
static uint64_t compare(const char *path, int base, int clone) {
  static char a[1 << 16], b[sizeof a];
  cloner_string_t name = {(uint8_t *)path, strlen(path)};
  sandbox_fast_copy_inspect_list_data_range_t page;
  sandbox_fast_copy_types_error_code_t code;
  off_t at = 0, bytes = 0;
  for (size_t found = 1024; found == 1024; sandbox_fast_copy_inspect_list_data_range_free(&page)) {
    if (!sandbox_fast_copy_inspect_data_ranges(dir, &name, at, &page, &code))
      fail(path, error_code_names[code.tag]);
    found = page.len;
    for (size_t i = 0; i < found; bytes += page.ptr[i].length, i++) {
      at = page.ptr[i].offset;
      for (off_t n, end = at + page.ptr[i].length; at < end; at += n) {
        n = pread(base, a, end - at < (off_t)sizeof a ? end - at : sizeof a, at);
        if (n <= 0 || pread(clone, b, n, at) != n || memcmp(a, b, n)) fail(path, "not verified");
      }
    }
  }
  return bytes;
}

bool exports_wasi_cli_run_run(void) {
  wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t dirs;
  wasi_filesystem_preopens_get_directories(&dirs);
  cloner_list_string_t args;
  wasi_cli_environment_get_arguments(&args);
  if (args.len < 3 || dirs.len < 1) return fprintf(stderr, "usage: cloner BASE CLONE...\n"), false;
  dir = wasi_filesystem_types_borrow_descriptor(dirs.ptr[0].f0);
  char *base = strndup((char *)args.ptr[1].ptr, args.ptr[1].len);
  for (size_t i = 2; i < args.len; i++) {
    char *clone = strndup((char *)args.ptr[i].ptr, args.ptr[i].len);
    sandbox_fast_copy_copy_copy_report_t done;
    sandbox_fast_copy_copy_copy_error_t err;
    if (!sandbox_fast_copy_copy_fast_copy(dir, &args.ptr[1], dir, &args.ptr[i], NULL, &done, &err))
      fail(clone, error_code_names[err.code.tag]);
    const char *method = copy_method_names[done.method];
    printf("%s: %s, %llu of %llu bytes copied\n", clone, method, done.copied, done.size);
    int files[] = {open(base, O_RDONLY), open(clone, O_RDONLY)};
    compare(clone, files[0], files[1]);
    printf("%s: verified, %llu bytes of data\n", clone, compare(base, files[0], files[1]));
    close(files[0]), close(files[1]);
  }
  return fflush(stdout) == 0;
}
