//! A base image: an ext4 file system with files in it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use fast_copy_test_support::files::MIB;
use fast_copy_test_support::program::{administrative, run};
use fastrand::Rng;

/// The size of an image. About 3 MiB of it are files, the rest are holes.
const SIZE: u64 = 32 * MIB;

pub struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Makes an image with random files.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let (files, path) = (dir.path().join("files"), dir.path().join("image"));
        fs::create_dir(&files).unwrap();
        for number in 0..40 {
            let mut content = vec![0; rng.usize(1..150_000)];
            rng.fill(&mut content);
            fs::write(files.join(format!("file-{number}")), content).unwrap();
        }
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        run(administrative("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(&files)
            .arg(&path));
        Self {
            bytes: fs::read(&path).unwrap(),
        }
    }

    /// Writes the image to a new file, with holes. Nothing is synchronised.
    pub fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.bytes.len() as u64).unwrap();
        for (number, block) in self.bytes.chunks(4096).enumerate() {
            if block.iter().any(|&byte| byte != 0) {
                file.write_all_at(block, number as u64 * 4096).unwrap();
            }
        }
    }

    pub fn is_same(&self, path: &Path) -> bool {
        fs::read(path).is_ok_and(|bytes| bytes == self.bytes)
    }
}
