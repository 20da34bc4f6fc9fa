//! Contains what the functions for WASI 0.2 (`p2`) and those for WASI 0.3 (`p3`) share.

pub(crate) mod convert;
pub(crate) mod preopens;
pub(crate) mod resource;
pub(crate) mod signs;
