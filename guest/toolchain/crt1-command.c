/* Provides the entry point of a WASI command, for Debian 12's wasi-libc.
 *
 * The entry point in that package (from 2022) does not call the constructors.
 * Without them wasi-libc does not register the preopened directories, and every
 * call with a path fails with errno 76 (ENOTCAPABLE). */

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
