//! Random operands: for any two descriptors and paths, a copy fails with the error code that `open-at` of
//! `wasi:filesystem` returns for one of them.

use std::fs;
use std::os::unix::fs::symlink;

use fast_copy_test_support::options::Options;
use fast_copy_test_support::state::State;
use proptest::prelude::*;
use wasmtime::component::Resource;
use wasmtime_fast_copy::p2::bindings::sync::copy::Host;
use wasmtime_fast_copy::p2::bindings::types::Operand;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::{FsPerms, OpenMode};

/// The components of paths. Each but `none` exists, in the directory and in `dir`.
const PARTS: [&str; 14] = [
    "..", ".", "", "none", "file", "dir", "inside", "outside", "root", "dangling", "loop", "up",
    "x\0y", "long",
];

fn path() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(&PARTS[..]), 1..5);
    parts.prop_map(|parts| parts.join("/").replace("long", &"l".repeat(256)))
}

/// Makes a directory with each kind of file but those that can block.
fn state_with_files() -> State {
    let state = State::new();
    fs::create_dir(state.path("dir")).unwrap();
    for dir in [state.dir().to_owned(), state.path("dir")] {
        fs::write(dir.join("file"), "text").unwrap();
        symlink("file", dir.join("inside")).unwrap();
        symlink("../../../../../../etc/hostname", dir.join("outside")).unwrap();
        symlink("/", dir.join("root")).unwrap();
        symlink("none", dir.join("dangling")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        symlink("..", dir.join("up")).unwrap();
    }
    fs::create_dir(state.path("dir/dir")).unwrap();
    state
}

/// The descriptors that a guest can pass as a directory.
#[derive(Clone, Copy, Debug)]
enum Dirs {
    Writable,
    ReadOnly,
    File,
}

fn dirs() -> impl Strategy<Value = Dirs> {
    prop_oneof![
        4 => Just(Dirs::Writable),
        1 => Just(Dirs::ReadOnly),
        1 => Just(Dirs::File),
    ]
}

impl Dirs {
    fn push(self, state: &mut State) -> u32 {
        let perms = match self {
            Dirs::ReadOnly => FsPerms::ReadOnly,
            _ => FsPerms::ReadWrite,
        };
        let mode = OpenMode::READ | OpenMode::WRITE;
        let descriptor = match self {
            Dirs::File => {
                let file = fs::File::open(state.path("file")).unwrap();
                Descriptor::File(File::new(file, perms, mode, false))
            }
            _ => {
                let dir = fs::File::open(state.dir()).unwrap();
                Descriptor::Dir(Dir::new(dir, perms, mode, false))
            }
        };
        state.table.push(descriptor).unwrap().rep()
    }
}

/// Calls `open-at`. Returns the descriptor or the error code.
fn open_at(
    state: &mut State,
    dir: u32,
    path: &str,
    follow: bool,
    create: bool,
) -> Result<Descriptor, String> {
    let path_flags = match follow {
        false => PathFlags::empty(),
        true => PathFlags::SYMLINK_FOLLOW,
    };
    let (open, access) = match create {
        false => (OpenFlags::empty(), DescriptorFlags::READ),
        true => (
            OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            DescriptorFlags::WRITE,
        ),
    };
    let dir = Resource::new_borrow(dir);
    let mut view = WasiFilesystemCtxView {
        ctx: &mut WasiFilesystemCtx::default(),
        table: &mut state.table,
    };
    let call = HostDescriptor::open_at(&mut view, dir, path_flags, path.into(), open, access);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let opened = runtime.block_on(call);
    match opened {
        Ok(handle) => {
            let handle: Resource<Descriptor> = Resource::new_own(handle.rep());
            Ok(state.table.delete(handle).unwrap())
        }
        Err(error) => Err(format!("{:?}", error.downcast().unwrap())),
    }
}

/// Returns the error code that a copy must have for a source.
fn of_source(state: &mut State, dir: u32, path: &str, follow: bool) -> Option<String> {
    match open_at(state, dir, path, follow, false) {
        Ok(Descriptor::File(_)) => None,
        Ok(Descriptor::Dir(_)) => Some("IsDirectory".into()),
        Err(code) => Some(code),
    }
}

/// Returns the error code that a copy without `replace` must have for a destination.
fn of_destination(state: &mut State, dirs: Dirs, dir: u32, path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap();
    let writable = matches!(dirs, Dirs::Writable);
    if writable && !path.is_empty() && ["", ".", ".."].contains(&name) {
        // No file can have such a name. The error codes of `open-at` differ for these.
        return Some("Invalid".into());
    }
    let found = open_at(state, dir, path, false, true);
    if found.is_ok() {
        fs::remove_file(state.dir().join(path)).unwrap();
    }
    found.err()
}

/// Returns the name of an error code: the generated `Debug` of an enumeration and of a variant differ.
fn plain(code: String) -> String {
    let name = match code.split_once("name: \"") {
        Some((_, rest)) => rest.split('"').next().unwrap(),
        None => code.rsplit("::").next().unwrap(),
    };
    name.replace('-', "").to_lowercase()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_copy_fails_with_the_error_code_of_open_at(
        (src_dirs, src) in (dirs(), path()),
        (dst_dirs, dst) in (dirs(), path()),
        (follow, sparse) in any::<(bool, bool)>(),
    ) {
        let mut state = state_with_files();
        let (src_dir, dst_dir) = (src_dirs.push(&mut state), dst_dirs.push(&mut state));
        let expected_source = of_source(&mut state, src_dir, &src, follow).map(plain);
        let expected_destination =
            of_destination(&mut state, dst_dirs, dst_dir, &dst).map(plain);
        let options = match follow {
            false => Options::NOT_DURABLE,
            true => Options::NOT_DURABLE | Options::SYMLINK_FOLLOW,
        };
        let (src_dir, dst_dir) = (Resource::new_borrow(src_dir), Resource::new_borrow(dst_dir));
        let mut call = state.call(options);
        let options = call.options();
        let answer = match sparse {
            false => call.view.fast_copy(src_dir, src, dst_dir, dst, options),
            true => call.view.sparse_copy(src_dir, src, dst_dir, dst, options),
        };
        let answer = answer.unwrap();
        let found = answer.as_ref().err().map(|error| plain(format!("{:?}", error.code)));
        let operand = answer.as_ref().err().and_then(|error| error.operand);
        match (expected_source, expected_destination) {
            (None, None) => prop_assert_eq!(found, None),
            (Some(code), None) => prop_assert_eq!(found, Some(code)),
            (None, Some(code)) if code == "exist" => {
                // The destination may be the source.
                prop_assert!(["exist", "samefile"].contains(&found.unwrap().as_str()));
            }
            (None, Some(code)) => prop_assert_eq!(found, Some(code)),
            (Some(a), Some(b)) => {
                let expected = match operand {
                    Some(Operand::Source) => Some(a),
                    Some(Operand::Destination) => Some(b),
                    None => None,
                };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
