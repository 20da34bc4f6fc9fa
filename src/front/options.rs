//! The resource `copy-options`. Both fronts compile this file, each for its own bindings.

use wasmtime::component::Resource;

use super::bindings::{named, types};
use crate::ctx::FastCopyCtxView;
use crate::named::{FastCopyNamedData, FastCopyNamedView, forward};
use crate::options::GuestOptions;

impl types::Host for FastCopyCtxView<'_> {}

impl types::HostCopyOptions for FastCopyCtxView<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<GuestOptions>> {
        self.new_options()
    }

    fn set_replace(&mut self, this: Resource<GuestOptions>, replace: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.replace = replace)
    }

    fn set_symlink_follow(
        &mut self,
        this: Resource<GuestOptions>,
        follow: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.symlink_follow = follow)
    }

    fn set_require_reflink(
        &mut self,
        this: Resource<GuestOptions>,
        require: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.require_reflink = require)
    }

    fn set_dig_holes(&mut self, this: Resource<GuestOptions>, dig: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.dig_holes = dig)
    }

    fn set_durable(&mut self, this: Resource<GuestOptions>, durable: bool) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.durable = durable)
    }

    fn set_size(
        &mut self,
        this: Resource<GuestOptions>,
        size: Option<u64>,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.size = size)
    }

    fn set_preserve_times(
        &mut self,
        this: Resource<GuestOptions>,
        preserve: bool,
    ) -> wasmtime::Result<()> {
        self.set(&this, |wanted| wanted.preserve_times = preserve)
    }

    fn drop(&mut self, this: Resource<GuestOptions>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<T: FastCopyNamedView> named::types::Host for FastCopyNamedData<'_, T> {}

forward!(types::HostCopyOptions {
    fn new() -> Resource<GuestOptions>;
    fn set_replace(this: Resource<GuestOptions>, replace: bool) -> ();
    fn set_symlink_follow(this: Resource<GuestOptions>, follow: bool) -> ();
    fn set_require_reflink(this: Resource<GuestOptions>, require: bool) -> ();
    fn set_dig_holes(this: Resource<GuestOptions>, dig: bool) -> ();
    fn set_durable(this: Resource<GuestOptions>, durable: bool) -> ();
    fn set_size(this: Resource<GuestOptions>, size: Option<u64>) -> ();
    fn set_preserve_times(this: Resource<GuestOptions>, preserve: bool) -> ();
    fn drop(this: Resource<GuestOptions>) -> ();
});
