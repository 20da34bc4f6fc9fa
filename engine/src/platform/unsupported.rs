//! Any other system.

compile_error!("fast-copy-engine supports Linux, macOS and Windows");
