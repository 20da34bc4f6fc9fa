//! The directory on the disk: how it is made and changed, and whether it is as the model says.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::input::BLOCK;
use super::model::{Content, Model, Node};

/// A guest's directory, and a file outside of it.
pub struct Disk {
    dir: TempDir,
    secret: (i64, i64, u64),
}

const SECRET: &str = "a file of the host";

impl Disk {
    /// Makes both, and the model of the first.
    pub fn new(parent: &Path) -> (Self, Model) {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let (guest, outside) = (dir.path().join("guest"), dir.path().join("outside"));
        fs::create_dir_all(guest.join("d")).unwrap();
        fs::create_dir(&outside).unwrap();
        let mut secret = File::create(outside.join("secret")).unwrap();
        secret.write_all(SECRET.as_bytes()).unwrap();
        let mut disk = Self {
            dir,
            secret: (0, 0, 0),
        };
        disk.secret = disk.secret_now();

        let mut model = Model::default();
        model.names.insert("d".into(), Node::Directory);
        let mut image = vec![0; 3 * BLOCK + 100];
        image[BLOCK..2 * BLOCK].fill(7);
        image[3 * BLOCK..].fill(8);
        for (name, bytes) in [("a", image), ("d/x", vec![9; 10])] {
            disk.write(&mut model, name, Content { bytes, mode: 0o644 });
        }
        disk.hard_link(&mut model, "a", "h");
        for (name, target) in [
            ("l", "a"),
            ("lx", "d/x"),
            ("inner", "d"),
            ("dangling", "none"),
            ("loop", "loop"),
            ("out", "../outside/secret"),
            ("root", "/"),
            ("up", ".."),
            ("d/up", ".."),
        ] {
            disk.link(&mut model, name, target);
        }
        mknodat(CWD, disk.at("fifo"), FileType::Fifo, Mode::from(0o644), 0).unwrap();
        model.names.insert("fifo".into(), Node::Fifo);
        (disk, model)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("guest").join(name)
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, model: &mut Model, name: &str, content: Content) {
        self.remove(model, name);
        let file = File::create(self.at(name)).unwrap();
        file.set_len(content.bytes.len() as u64).unwrap();
        for (i, block) in content.bytes.chunks(BLOCK).enumerate() {
            if block.iter().any(|&byte| byte != 0) {
                file.write_all_at(block, (i * BLOCK) as u64).unwrap();
            }
        }
        let mode = fs::Permissions::from_mode(content.mode);
        file.set_permissions(mode).unwrap();
        model.put(name, content);
    }

    pub fn remove(&self, model: &mut Model, name: &str) {
        if model.names.remove(name).is_some() {
            fs::remove_file(self.at(name)).unwrap();
        }
    }

    pub fn link(&self, model: &mut Model, name: &str, target: &str) {
        self.remove(model, name);
        symlink(target, self.at(name)).unwrap();
        model.names.insert(name.into(), Node::Link(target.into()));
    }

    pub fn hard_link(&self, model: &mut Model, old: &str, new: &str) {
        let Some(node @ Node::File(_)) = model.names.get(old).cloned() else {
            return;
        };
        if old == new {
            return;
        }
        self.remove(model, new);
        fs::hard_link(self.at(old), self.at(new)).unwrap();
        model.names.insert(new.into(), node);
    }

    /// Returns in what the disk differs from the model, if in anything.
    pub fn difference(&self, model: &Model) -> Option<String> {
        let mut found = BTreeMap::new();
        self.list("", &mut found);
        let (mut names, mut inodes) = (found.keys(), HashMap::new());
        if !names.by_ref().eq(model.names.keys()) {
            let names: Vec<_> = found.keys().collect();
            return Some(format!("{names:?}, expected {:?}", model.names.keys()));
        }
        for (name, node) in &model.names {
            let metadata = &found[name];
            let kind = metadata.file_type();
            let is_same = match node {
                Node::Directory => kind.is_dir(),
                Node::Fifo => kind.is_fifo(),
                Node::Link(target) => {
                    kind.is_symlink() && fs::read_link(self.at(name)).unwrap() == Path::new(target)
                }
                Node::File(index) => {
                    let content = &model.files[*index];
                    let inode = *inodes.entry(index).or_insert(metadata.ino());
                    // Two names are one file, or not, as in the model.
                    let is_same_file = inode == metadata.ino()
                        && inodes.values().filter(|&&other| other == inode).count() == 1;
                    is_same_file
                        && kind.is_file()
                        && metadata.permissions().mode() & 0o7777 == content.mode
                        && fs::read(self.at(name)).unwrap() == content.bytes
                }
            };
            if !is_same {
                return Some(format!("{name}: {metadata:?}, expected {node:?}"));
            }
        }
        None
    }

    fn list(&self, dir: &str, found: &mut BTreeMap<String, fs::Metadata>) {
        for entry in fs::read_dir(self.at(dir)).unwrap() {
            let entry = entry.unwrap();
            let name = super::model::join(dir, entry.file_name().to_str().unwrap());
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                self.list(&name, found);
            }
            found.insert(name, metadata);
        }
    }

    /// Panics if anything outside of the guest's directory has changed.
    pub fn check_outside(&self) {
        let outside = self.dir.path().join("outside");
        let names = [
            fs::read_dir(outside).unwrap(),
            fs::read_dir(self.root()).unwrap(),
        ];
        assert_eq!(names.map(Iterator::count), [1, 2], "names outside");
        let text = fs::read_to_string(self.dir.path().join("outside/secret")).unwrap();
        assert_eq!(text, SECRET);
        assert_eq!(
            self.secret_now(),
            self.secret,
            "the file outside has changed"
        );
    }

    fn secret_now(&self) -> (i64, i64, u64) {
        let metadata = fs::metadata(self.dir.path().join("outside/secret")).unwrap();
        (metadata.ctime(), metadata.ctime_nsec(), metadata.nlink())
    }

    /// Returns how many files in these directories this process has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.starts_with(self.root()))
            .count()
    }
}
