//! Bindings generated from `wit/p3`.
//!
//! If your world contains these interfaces, let your own `bindgen!` use these bindings, so that all of them have
//! the same types:
//!
//! ```
//! mod bindings {
//!     wasmtime::component::bindgen!({
//!         inline: "
//!             package my:app;
//!             world plugin {
//!                 include sandbox:fast-copy/imports@0.3.0;
//!                 export run: async func();
//!             }
//!         ",
//!         path: "wit/p3",
//!         with: {
//!             "wasi": wasmtime_wasi::p3::bindings,
//!             "sandbox:fast-copy": wasmtime_fast_copy::p3::bindings,
//!         },
//!         require_store_data_send: true,
//!     });
//! }
//! # fn main() {}
//! ```

#[expect(missing_docs, reason = "generated code")]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "sandbox:fast-copy/imports",
        imports: {
            "sandbox:fast-copy/copy": store | tracing | trappable,
            "sandbox:fast-copy/inspect": store | tracing | trappable,
            default: tracing | trappable,
        },
        with: {
            "wasi": wasmtime_wasi::p3::bindings,
            "sandbox:fast-copy/types.copy-options": crate::options::GuestOptions,
        },
        named_imports: {
            "sandbox:fast-copy/types": crate::named::NamedId,
            "sandbox:fast-copy/copy": crate::named::NamedId,
            "sandbox:fast-copy/inspect": crate::named::NamedId,
        },
        additional_derives: [PartialEq],
        require_store_data_send: true,
    });
}

/// The interfaces for named imports: each function also takes the [`NamedId`](crate::NamedId) of its import.
pub use generated::named_imports::sandbox::fast_copy as named;
pub use generated::sandbox::fast_copy::*;
