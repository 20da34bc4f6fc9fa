//! Passes options to the host, as a resource.

use std::sync::OnceLock;

use super::bindings::sandbox::fast_copy::types::CopyOptions as Resource;
use crate::CopyOptions;

/// The WIT's defaults: they stand for no resource.
const WIT_DEFAULTS: CopyOptions = CopyOptions {
    replace: false,
    symlink_follow: false,
    require_reflink: false,
    dig_holes: false,
    durable: true,
    size: None,
    preserve_times: false,
};

impl CopyOptions {
    /// Makes a call with a resource that has these options.
    ///
    /// Passes no resource for the WIT's defaults. Creates one resource for all calls with the defaults of
    /// [`CopyOptions`], which differ from those, and keeps it. For other options, creates one for this call.
    pub(crate) fn with_resource<T>(&self, call: impl FnOnce(Option<&Resource>) -> T) -> T {
        static DEFAULTS: OnceLock<Resource> = OnceLock::new();
        if *self == WIT_DEFAULTS {
            call(None)
        } else if *self == Self::default() {
            call(Some(DEFAULTS.get_or_init(|| self.resource())))
        } else {
            call(Some(&self.resource()))
        }
    }

    fn resource(&self) -> Resource {
        let resource = Resource::new();
        if self.replace != WIT_DEFAULTS.replace {
            resource.set_replace(self.replace);
        }
        if self.symlink_follow != WIT_DEFAULTS.symlink_follow {
            resource.set_symlink_follow(self.symlink_follow);
        }
        if self.require_reflink != WIT_DEFAULTS.require_reflink {
            resource.set_require_reflink(self.require_reflink);
        }
        if self.dig_holes != WIT_DEFAULTS.dig_holes {
            resource.set_dig_holes(self.dig_holes);
        }
        if self.durable != WIT_DEFAULTS.durable {
            resource.set_durable(self.durable);
        }
        if self.size != WIT_DEFAULTS.size {
            resource.set_size(self.size);
        }
        if self.preserve_times != WIT_DEFAULTS.preserve_times {
            resource.set_preserve_times(self.preserve_times);
        }
        resource
    }
}
