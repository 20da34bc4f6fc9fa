//! Bindings generated from `wit/p2`: asynchronous here, synchronous in [`sync`]. Both share [`types`].

#[expect(missing_docs, reason = "generated code")]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "sandbox:fast-copy/imports",
        imports: {
            "sandbox:fast-copy/copy": async | tracing | trappable,
            "sandbox:fast-copy/inspect": async | tracing | trappable,
            "sandbox:fast-copy/jobs.[static]copy-job.finish": async | tracing | trappable,
            default: tracing | trappable,
        },
        with: {
            "wasi": wasmtime_wasi::p2::bindings,
            "sandbox:fast-copy/jobs.copy-job": crate::job::CopyJob,
        },
        additional_derives: [PartialEq],
        require_store_data_send: true,
    });
}

pub use generated::sandbox::fast_copy::*;

/// The synchronous form of the same interfaces.
pub mod sync {
    #[expect(missing_docs, reason = "generated code")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "wit/p2",
            world: "sandbox:fast-copy/imports",
            imports: { default: tracing | trappable },
            with: {
                "wasi": wasmtime_wasi::p2::bindings,
                "sandbox:fast-copy/jobs.copy-job": crate::job::CopyJob,
                "sandbox:fast-copy/types": crate::p2::bindings::types,
            },
            additional_derives: [PartialEq],
            require_store_data_send: true,
        });
    }

    pub use generated::sandbox::fast_copy::*;
}
