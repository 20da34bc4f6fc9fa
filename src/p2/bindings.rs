//! Bindings generated from `wit/p2`: asynchronous here, synchronous in [`sync`]. Both share [`types`] and
//! [`jobs`].
//!
//! If your world contains these interfaces, let your own `bindgen!` use these bindings, so that all of them have
//! the same types. For asynchronous components, map the package:
//!
//! ```
//! mod bindings {
//!     wasmtime::component::bindgen!({
//!         inline: "
//!             package my:app;
//!             world plugin {
//!                 include sandbox:fast-copy/imports@0.2.0;
//!                 export run: func();
//!             }
//!         ",
//!         path: "wit/p2",
//!         with: {
//!             "wasi": wasmtime_wasi::p2::bindings,
//!             "sandbox:fast-copy": wasmtime_fast_copy::p2::bindings,
//!         },
//!         imports: { default: async },
//!         exports: { default: async },
//!     });
//! }
//! # fn main() {}
//! ```
//!
//! For synchronous components, map the interfaces:
//!
//! ```
//! mod bindings {
//!     wasmtime::component::bindgen!({
//!         inline: "
//!             package my:app;
//!             world plugin {
//!                 include sandbox:fast-copy/imports@0.2.0;
//!                 export run: func();
//!             }
//!         ",
//!         path: "wit/p2",
//!         with: {
//!             "wasi": wasmtime_wasi::p2::bindings::sync,
//!             "sandbox:fast-copy/types": wasmtime_fast_copy::p2::bindings::types,
//!             "sandbox:fast-copy/jobs": wasmtime_fast_copy::p2::bindings::jobs,
//!             "sandbox:fast-copy/copy": wasmtime_fast_copy::p2::bindings::sync::copy,
//!             "sandbox:fast-copy/inspect": wasmtime_fast_copy::p2::bindings::sync::inspect,
//!         },
//!     });
//! }
//! # fn main() {}
//! ```

#[expect(missing_docs, reason = "generated code")]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "sandbox:fast-copy/imports",
        imports: {
            "sandbox:fast-copy/copy": async | tracing | trappable,
            "sandbox:fast-copy/inspect": async | tracing | trappable,
            default: tracing | trappable,
        },
        with: {
            "wasi": wasmtime_wasi::p2::bindings,
            "sandbox:fast-copy/types.copy-options": crate::options::GuestOptions,
            "sandbox:fast-copy/jobs.copy-job": crate::job::CopyJob,
        },
        named_imports: {
            "sandbox:fast-copy/types": crate::named::NamedId,
            "sandbox:fast-copy/copy": crate::named::NamedId,
            "sandbox:fast-copy/jobs": crate::named::NamedId,
            "sandbox:fast-copy/inspect": crate::named::NamedId,
        },
        additional_derives: [PartialEq],
        require_store_data_send: true,
    });
}

/// The interfaces for named imports: each function also takes the [`NamedId`](crate::NamedId) of its import.
pub use generated::named_imports::sandbox::fast_copy as named;
pub use generated::sandbox::fast_copy::*;

/// The synchronous form of the interfaces whose functions block.
pub mod sync {
    #[expect(missing_docs, reason = "generated code")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "wit/p2",
            world: "sandbox:fast-copy/imports",
            imports: { default: tracing | trappable },
            with: {
                "wasi": wasmtime_wasi::p2::bindings,
                "sandbox:fast-copy/types": crate::p2::bindings::types,
                "sandbox:fast-copy/jobs": crate::p2::bindings::jobs,
            },
            additional_derives: [PartialEq],
            require_store_data_send: true,
        });
    }

    pub use generated::sandbox::fast_copy::*;
}
