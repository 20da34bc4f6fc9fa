//! Passes options to the host, as a resource.

use crate::CopyOptions;

/// The WIT's defaults: they stand for no resource.
pub(crate) const WIT_DEFAULTS: CopyOptions = CopyOptions {
    replace: false,
    symlink_follow: false,
    require_reflink: false,
    dig_holes: false,
    durable: true,
    size: None,
    preserve_times: false,
};

/// The resource of a front's bindings. [`impl_options_resource`] implements it.
pub(crate) trait OptionsResource: Sized + 'static {
    /// Creates a resource with these options.
    fn create(options: &CopyOptions) -> Self;

    /// Returns the resource with the defaults of [`CopyOptions`], which differ from those of the WIT. Creates
    /// one for all calls.
    fn with_defaults() -> &'static Self;
}

/// What a call passes to the host for its options.
pub(crate) enum Passed<R: 'static> {
    Nothing,
    Shared(&'static R),
    Own(R),
}

impl<R> Passed<R> {
    pub(crate) fn get(&self) -> Option<&R> {
        match self {
            Self::Nothing => None,
            Self::Shared(resource) => Some(resource),
            Self::Own(resource) => Some(resource),
        }
    }
}

impl CopyOptions {
    /// Returns what a call has to pass for these options.
    pub(crate) fn resource<R: OptionsResource>(&self) -> Passed<R> {
        if *self == WIT_DEFAULTS {
            Passed::Nothing
        } else if *self == Self::default() {
            Passed::Shared(R::with_defaults())
        } else {
            Passed::Own(R::create(self))
        }
    }
}

macro_rules! impl_options_resource {
    ($Resource:ty) => {
        impl $crate::wasi::resource::OptionsResource for $Resource {
            fn create(options: &$crate::CopyOptions) -> Self {
                use $crate::wasi::resource::WIT_DEFAULTS;

                let resource = Self::new();
                if options.replace != WIT_DEFAULTS.replace {
                    resource.set_replace(options.replace);
                }
                if options.symlink_follow != WIT_DEFAULTS.symlink_follow {
                    resource.set_symlink_follow(options.symlink_follow);
                }
                if options.require_reflink != WIT_DEFAULTS.require_reflink {
                    resource.set_require_reflink(options.require_reflink);
                }
                if options.dig_holes != WIT_DEFAULTS.dig_holes {
                    resource.set_dig_holes(options.dig_holes);
                }
                if options.durable != WIT_DEFAULTS.durable {
                    resource.set_durable(options.durable);
                }
                if options.size != WIT_DEFAULTS.size {
                    resource.set_size(options.size);
                }
                if options.preserve_times != WIT_DEFAULTS.preserve_times {
                    resource.set_preserve_times(options.preserve_times);
                }
                resource
            }

            fn with_defaults() -> &'static Self {
                static RESOURCE: std::sync::OnceLock<$Resource> = std::sync::OnceLock::new();
                RESOURCE.get_or_init(|| Self::create(&$crate::CopyOptions::default()))
            }
        }
    };
}
pub(crate) use impl_options_resource;
