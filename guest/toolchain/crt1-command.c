/* The start of a WASI command, for Debian 12's wasi-libc.
 *
 * The one in that package (of 2022) never runs the constructors, so wasi-libc
 * doesn't know its preopened directories and every path fails. */

void __wasm_call_ctors(void);
int __main_void(void);
void __wasm_call_dtors(void);
_Noreturn void __wasi_proc_exit(unsigned code);

void _start(void) {
  __wasm_call_ctors();
  int status = __main_void();
  __wasm_call_dtors();
  if (status != 0)
    __wasi_proc_exit((unsigned)status);
}
