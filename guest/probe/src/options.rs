//! Parses OPTIONS.

use front::CopyOptions;

/// A function that sets one option.
type Setter = Box<dyn Fn(&CopyOptions)>;

/// What OPTIONS asks for: no resource, or one with these options set.
pub struct Options(Option<Vec<Setter>>);

impl Options {
    pub fn parse(names: &str) -> Self {
        Self((!names.is_empty()).then(|| names.split(',').map(setter).collect()))
    }

    pub fn create(&self) -> Option<CopyOptions> {
        let setters = self.0.as_ref()?;
        let options = CopyOptions::new();
        for set in setters {
            set(&options);
        }
        Some(options)
    }
}

fn setter(name: &str) -> Setter {
    match name {
        "defaults" => Box::new(|_| {}),
        "replace" => Box::new(|options| options.set_replace(true)),
        "symlink-follow" => Box::new(|options| options.set_symlink_follow(true)),
        "require-reflink" => Box::new(|options| options.set_require_reflink(true)),
        "dig-holes" => Box::new(|options| options.set_dig_holes(true)),
        "no-sync" => Box::new(|options| options.set_durable(false)),
        "preserve-times" => Box::new(|options| options.set_preserve_times(true)),
        other => match other.strip_prefix("size=") {
            Some(size) => {
                let size = size.parse().expect("BYTES must be a number");
                Box::new(move |options| options.set_size(Some(size)))
            }
            None => panic!("unknown option {other}"),
        },
    }
}
