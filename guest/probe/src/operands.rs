//! Opens directories and spells paths.

use front::{Descriptor, OpenFlags, get_directories};

/// Returns the descriptor that SRC_DIR, DST_DIR or DIR names.
pub async fn descriptor(spelling: &str) -> Descriptor {
    let preopens = get_directories();
    let opened = match spelling.split_once(':') {
        Some(("file", path)) => Some((path, OpenFlags::empty())),
        Some(("dir", path)) => Some((path, OpenFlags::DIRECTORY)),
        _ => None,
    };
    match opened {
        Some((path, flags)) => front::open(&preopens[0].0, path, flags)
            .await
            .expect("PATH must exist in the first preopened directory"),
        None => {
            preopens
                .into_iter()
                .find(|(_, name)| name == spelling)
                .expect("the directory must be the name of a preopened one")
                .0
        }
    }
}

/// Replaces `\0` and `{i}` in a path.
pub fn unescape(path: &str, call: usize) -> String {
    path.replace("\\0", "\0").replace("{i}", &call.to_string())
}
