//! Contains the bindings, generated from `wit/p2`. WASI types are those of the `wasip2` crate.

#![allow(missing_docs, reason = "generated code; the WIT has the documentation")]

wit_bindgen::generate!({
    path: "../../wit/p2",
    world: "sandbox:fast-copy/imports",
    with: {
        "wasi:clocks/wall-clock@0.2.12": wasip2::clocks::wall_clock,
        "wasi:filesystem/types@0.2.12": wasip2::filesystem::types,
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    generate_all,
    additional_derives: [PartialEq],
});
