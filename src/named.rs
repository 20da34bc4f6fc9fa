//! Named imports: one component, several contexts.

use std::fmt;
use std::marker::PhantomData;

use wasmtime::component::HasData;

use crate::ctx::FastCopyCtxView;

/// Names a context of the host. The host chooses the number, and gives it a meaning.
///
/// `wasmtime_wasi::NamedId`, which exists since version 50, does the same for WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedId(pub usize);

/// Gives the bindings access to a context and a resource table for each named import, for
/// [`p2::add_named_to_linker_async`](crate::p2::add_named_to_linker_async) and `p3::add_named_to_linker`.
pub trait FastCopyNamedView: Send + 'static {
    /// Returns the context and the table for an `id` that `lookup` has returned.
    ///
    /// The table must be the one that `wasi:filesystem` uses for the descriptors of this import. All imports can
    /// have the same table: a guest can use only the resources that it has a handle of.
    fn named_fast_copy(&mut self, id: NamedId) -> FastCopyCtxView<'_>;
}

/// The [`HasData`] type of the bindings for named imports. Use it, and [`FastCopyNamedData`], to link them one by one.
pub struct FastCopyNamed<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for FastCopyNamed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FastCopyNamed")
    }
}

impl<T: FastCopyNamedView> HasData for FastCopyNamed<T> {
    type Data<'a> = FastCopyNamedData<'a, T>;
}

/// What the bindings for named imports use.
#[derive(Debug)]
pub struct FastCopyNamedData<'a, T>(pub &'a mut T);

/// Implements a trait of `bindings::named`: each method calls the method of the plain bindings, with the view that
/// belongs to its `id`.
macro_rules! forward {
    ($interface:ident::$host:ident {
        $(fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*
    }) => {
        impl<T: $crate::named::FastCopyNamedView> super::bindings::named::$interface::$host
            for $crate::named::FastCopyNamedData<'_, T>
        {
            $(
                fn $method(
                    &mut self,
                    id: $crate::named::NamedId,
                    $($arg: $type),*
                ) -> wasmtime::Result<$result> {
                    let mut view = self.0.named_fast_copy(id);
                    super::bindings::$interface::$host::$method(&mut view, $($arg),*)
                }
            )*
        }
    };
    ($interface:ident::$host:ident {
        $(async fn $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*
    }) => {
        impl<T: $crate::named::FastCopyNamedView> super::bindings::named::$interface::$host
            for $crate::named::FastCopyNamedData<'_, T>
        {
            $(
                async fn $method(
                    &mut self,
                    id: $crate::named::NamedId,
                    $($arg: $type),*
                ) -> wasmtime::Result<$result> {
                    let mut view = self.0.named_fast_copy(id);
                    super::bindings::$interface::$host::$method(&mut view, $($arg),*).await
                }
            )*
        }
    };
}
pub(crate) use forward;
