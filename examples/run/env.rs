//! `--env`: the environment variables of a guest.

use std::env::VarError;
use std::str::FromStr;

/// An environment variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

impl FromStr for Variable {
    type Err = String;

    /// Parses `NAME=VALUE`. `NAME` alone takes the value that this process has.
    fn from_str(spelling: &str) -> Result<Self, String> {
        let (name, value) = match spelling.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (spelling, None),
        };
        if name.is_empty() {
            return Err("the name is empty; write NAME=VALUE or NAME".to_owned());
        }
        let value = match value {
            Some(value) => value,
            None => std::env::var(name).map_err(|error| match error {
                VarError::NotPresent => format!("{name} is not set here; write {name}=VALUE"),
                VarError::NotUnicode(_) => {
                    format!("the value that {name} has here is not UTF-8; write {name}=VALUE")
                }
            })?,
        };
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}
