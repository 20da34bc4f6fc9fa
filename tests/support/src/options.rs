//! The options of a guest's copy.

use std::ops::BitOr;

use wasmtime::component::Resource;
use wasmtime_fast_copy::FastCopyCtxView;
use wasmtime_fast_copy::p2::GuestOptions;
use wasmtime_fast_copy::p2::bindings::types::HostCopyOptions;

/// The options of a guest's copy. `|` combines them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    replace: bool,
    symlink_follow: bool,
    require_reflink: bool,
    dig_holes: bool,
    not_durable: bool,
    size: Option<u64>,
    preserve_times: bool,
}

impl Options {
    pub const REPLACE: Self = Self {
        replace: true,
        ..Self::empty()
    };
    pub const SYMLINK_FOLLOW: Self = Self {
        symlink_follow: true,
        ..Self::empty()
    };
    pub const REQUIRE_REFLINK: Self = Self {
        require_reflink: true,
        ..Self::empty()
    };
    pub const DIG_HOLES: Self = Self {
        dig_holes: true,
        ..Self::empty()
    };
    pub const NOT_DURABLE: Self = Self {
        not_durable: true,
        ..Self::empty()
    };
    pub const PRESERVE_TIMES: Self = Self {
        preserve_times: true,
        ..Self::empty()
    };

    /// Returns the defaults.
    pub const fn empty() -> Self {
        Self {
            replace: false,
            symlink_follow: false,
            require_reflink: false,
            dig_holes: false,
            not_durable: false,
            size: None,
            preserve_times: false,
        }
    }

    pub const fn size(bytes: u64) -> Self {
        Self {
            size: Some(bytes),
            ..Self::empty()
        }
    }

    /// Creates the guest's resource, as a guest does. Returns none for the defaults.
    pub fn create(self, view: &mut FastCopyCtxView<'_>) -> Option<Resource<GuestOptions>> {
        if self == Self::empty() {
            return None;
        }
        let options = HostCopyOptions::new(view).unwrap();
        let again = || Resource::new_borrow(options.rep());
        if self.replace {
            view.set_replace(again(), true).unwrap();
        }
        if self.symlink_follow {
            view.set_symlink_follow(again(), true).unwrap();
        }
        if self.require_reflink {
            view.set_require_reflink(again(), true).unwrap();
        }
        if self.dig_holes {
            view.set_dig_holes(again(), true).unwrap();
        }
        if self.not_durable {
            view.set_durable(again(), false).unwrap();
        }
        if self.size.is_some() {
            view.set_size(again(), self.size).unwrap();
        }
        if self.preserve_times {
            view.set_preserve_times(again(), true).unwrap();
        }
        Some(options)
    }
}

impl BitOr for Options {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            replace: self.replace | other.replace,
            symlink_follow: self.symlink_follow | other.symlink_follow,
            require_reflink: self.require_reflink | other.require_reflink,
            dig_holes: self.dig_holes | other.dig_holes,
            not_durable: self.not_durable | other.not_durable,
            size: self.size.or(other.size),
            preserve_times: self.preserve_times | other.preserve_times,
        }
    }
}

/// A view with options in its table, for one call. Dropping it drops the options.
pub struct CallWith<'a> {
    pub view: FastCopyCtxView<'a>,
    options: Option<Resource<GuestOptions>>,
}

impl<'a> CallWith<'a> {
    pub fn new(mut view: FastCopyCtxView<'a>, options: Options) -> Self {
        let options = options.create(&mut view);
        Self { view, options }
    }

    /// Returns the options, as an argument of the call.
    pub fn options(&self) -> Option<Resource<GuestOptions>> {
        let options = self.options.as_ref();
        options.map(|options| Resource::new_borrow(options.rep()))
    }
}

impl Drop for CallWith<'_> {
    fn drop(&mut self) {
        if let Some(options) = self.options.take() {
            HostCopyOptions::drop(&mut self.view, options).unwrap();
        }
    }
}
