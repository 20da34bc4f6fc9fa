//! What file systems can do, as far as tests depend on it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, IFlags, Mode, OFlags, RenameFlags, ResolveFlags,
    SeekFrom, StatxFlags, XattrFlags, ioctl_getflags, ioctl_setflags,
};
use rustix::io::Errno;
use wasmtime_fast_copy::CopyOptions;

use crate::files::{KIB, MIB, access_control_list, allocated};
use crate::namespace::Namespaces;
use crate::user_namespace::is_privileged;

/// One thing that a file system can do, or a property of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Two files can share blocks (`FICLONE`).
    Reflinks,
    /// A limit on extents prevents a clone, or there are no clones.
    ClonesAreLimited,
    /// FIEMAP lists the extents of a file.
    BlockMap,
    /// It has a block map and no reflinks, so a fast copy by one thread is offloaded.
    Offload,
    /// A write changes the times of an open file at once.
    Times,
    /// `stat` tells at once what is allocated.
    Allocation,
    /// Files can have holes, and `stat` tells at once what is allocated.
    Holes,
    /// A small hole is stored in the inode, and reported as data.
    InlineHoles,
    /// Blocks can be preallocated (`fallocate`).
    Preallocation,
    /// Also beyond the end of the file (`FALLOC_FL_KEEP_SIZE`).
    PreallocationBeyondEnd,
    /// More than four extents take one more block, for the extent tree.
    ExtentTree,
    /// The largest file has less than 20 TiB.
    SizeLimit,
    /// `O_TMPFILE`, with a link that names the file later.
    UnnamedFiles,
    /// `RENAME_NOREPLACE`.
    NoReplace,
    /// An open file can be replaced, and its directory renamed. A client of CIFS closes files up to a second late,
    /// so the name of a removed file is not free at once.
    OpenFilesMove,
    HardLinks,
    SymbolicLinks,
    /// FIFOs and sockets.
    SpecialFiles,
    /// Device files. Needs root.
    Devices,
    /// Permission bits can be set.
    Permissions,
    /// Owners can be set. Needs root.
    Owners,
    /// A copy can be made by a process that is subject to permissions: by this one, or as root by one of another
    /// user.
    Unprivileged,
    /// POSIX access control lists.
    AccessControlLists,
    /// Extended attributes `user.*`.
    Attributes,
    /// Extended attributes `trusted.*` and `security.capability`. Needs root.
    PrivilegedAttributes,
    /// Files can be append-only and immutable (`chattr`). Needs root.
    InodeFlags,
    /// Files can be without copy-on-write, and compressed (`chattr +C`, `+c`).
    BtrfsFlags,
    /// A directory can have an extent size hint.
    ExtentSizeHints,
    /// Read leases (`F_SETLEASE`) on every file. Over NFS, a file has one only while the server delegates it.
    Leases,
    /// The files are on a disk.
    Disk,
    /// The files are in memory only.
    Memory,
    /// A second, small one can be made for one test. Needs root, or for tmpfs a user namespace.
    Small,
    /// tmpfs and directories can be mounted. Needs root or a user namespace.
    Mounts,
    /// The kernel kills the processes that a test program leaves. Needs root or a user namespace.
    ProcessNamespace,
    /// `openat2`, by which guests' paths are resolved, with symbolic links.
    OpenAt2,
    /// `statx`, which tells what is append-only, immutable, or a mount point.
    Statx,
    /// `copy_file_range`.
    CopyFileRange,
    /// Everything else that only root can do.
    Root,
}

impl Feature {
    /// Whether an ordinary user may lack this where root has it.
    pub fn may_need_root(self) -> bool {
        BY_ROOT.contains(&self)
    }
}

const BY_ROOT: [Feature; 9] = [
    Devices,
    Owners,
    Unprivileged,
    PrivilegedAttributes,
    InodeFlags,
    Small,
    Mounts,
    ProcessNamespace,
    Root,
];

use Feature::*;

const COMMON: [Feature; 28] = [
    OpenAt2,
    Statx,
    CopyFileRange,
    ClonesAreLimited,
    Times,
    Allocation,
    Holes,
    Preallocation,
    PreallocationBeyondEnd,
    UnnamedFiles,
    NoReplace,
    OpenFilesMove,
    HardLinks,
    SymbolicLinks,
    SpecialFiles,
    Devices,
    Permissions,
    Owners,
    Unprivileged,
    AccessControlLists,
    Attributes,
    PrivilegedAttributes,
    InodeFlags,
    Leases,
    Small,
    Mounts,
    ProcessNamespace,
    Root,
];

/// Returns the version of the kernel, as in `6.12`.
pub fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(|part: char| !part.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Returns the features that a file system of [`NAMES`](crate::filesystems::NAMES) has for root. They are known
/// without a mount, so that tests can be listed.
pub fn known(name: &str) -> Vec<Feature> {
    let more: &[Feature] = match name {
        "ext4" => &[BlockMap, Offload, ExtentTree, SizeLimit, Disk],
        "xfs" => &[Reflinks, BlockMap, ExtentSizeHints, Disk],
        "btrfs" => &[Reflinks, BlockMap, BtrfsFlags, Disk],
        "tmpfs" => &[Memory],
        _ => panic!("no file system {name}"),
    };
    let mut features = [&COMMON, more].concat();
    // On tmpfs, attributes of users came with Linux 6.6.
    if name == "tmpfs" && kernel() < (6, 6) {
        features.retain(|&feature| feature != Attributes);
    }
    features
}

/// Tries what the file system at a directory can do, and what this process can do there.
pub fn probe(dir: &Path) -> io::Result<Vec<Feature>> {
    let probe = Probe {
        dir: tempfile::tempdir_in(dir)?,
    };
    let kind = rustix::fs::statfs(dir)?.f_type;
    let is_nfs = kind == libc::NFS_SUPER_MAGIC;
    let (at_once, later) = probe.allocated_at_once_and_later()?;
    let owners = probe.sets_owner()?;
    let namespaces = Namespaces::current();
    let features = [
        (Times, probe.writes_change_times()?),
        (Allocation, at_once == later),
        (Holes, at_once == later && later < MIB),
        (InlineHoles, probe.stores_holes_inline()?),
        (Reflinks, probe.reflinks()?),
        (BlockMap, probe.block_map()?),
        (Preallocation, probe.preallocates(FallocateFlags::empty())?),
        (
            PreallocationBeyondEnd,
            probe.preallocates(FallocateFlags::KEEP_SIZE)?,
        ),
        (ExtentTree, probe.extent_tree()?),
        (SizeLimit, probe.file("long")?.set_len(20 << 40).is_err()),
        (UnnamedFiles, probe.links_unnamed()),
        (NoReplace, probe.renames_without_replacing()?),
        (OpenFilesMove, probe.replaces_an_open_file()?),
        (
            HardLinks,
            fs::hard_link(probe.make("a")?, probe.at("b")).is_ok(),
        ),
        (SymbolicLinks, symlink("a", probe.at("link")).is_ok()),
        (SpecialFiles, probe.makes("fifo", FileType::Fifo)),
        (Devices, probe.makes("device", FileType::CharacterDevice)),
        (Permissions, probe.sets_permissions()?),
        (Owners, owners),
        (Unprivileged, owners || !is_privileged()),
        (AccessControlLists, probe.sets_list()?),
        (Attributes, probe.sets_attribute("user.x")?),
        (PrivilegedAttributes, probe.sets_attribute("trusted.x")?),
        (InodeFlags, probe.sets_inode_flags()?),
        (Leases, !is_nfs && probe.leases()?),
        (OpenAt2, probe.opens_by_openat2()),
        (Statx, probe.has_statx()),
        (CopyFileRange, probe.copies_file_ranges()?),
        (Mounts, namespaces.exist()),
        (ProcessNamespace, namespaces.exist()),
        (Root, namespaces == Namespaces::OfRoot),
    ];
    let mut found: Vec<_> = features
        .into_iter()
        .filter_map(|(feature, found)| found.then_some(feature))
        .collect();
    let has = |feature| found.contains(&feature);
    let (offload, clones_are_limited) = match (has(BlockMap), has(Reflinks)) {
        (block_map, false) => (block_map, true),
        (block_map, true) => (false, block_map),
    };
    let offload = offload && has(CopyFileRange);
    found.extend(offload.then_some(Offload));
    found.extend(clones_are_limited.then_some(ClonesAreLimited));
    found.extend(match kind {
        libc::TMPFS_MAGIC => &[Memory] as &[Feature],
        libc::XFS_SUPER_MAGIC => &[Disk, ExtentSizeHints],
        libc::BTRFS_SUPER_MAGIC => &[Disk, BtrfsFlags],
        _ => &[Disk],
    });
    Ok(found)
}

/// Measures the tick of the clock that gives files their modification times.
pub fn tick(dir: &Path) -> io::Result<Duration> {
    let path = tempfile::tempdir_in(dir)?;
    let path = path.path().join("written");
    let mut times = Vec::new();
    while times.len() < 4 {
        fs::write(&path, "text")?;
        times.push(modified(&path)?);
        times.dedup();
    }
    // The first one may have begun at any time within its tick.
    let ticks = times.windows(2).skip(1).map(|pair| pair[1] - pair[0]);
    Ok(ticks.min().unwrap_or_default())
}

/// Returns when a file was modified: how long after 1970.
fn modified(path: &Path) -> io::Result<Duration> {
    let flags = AtFlags::STATX_FORCE_SYNC;
    match rustix::fs::statx(CWD, path, flags, StatxFlags::MTIME) {
        Err(Errno::NOSYS | Errno::PERM) => {
            let found = fs::metadata(path)?;
            Ok(Duration::new(
                found.mtime() as u64,
                found.mtime_nsec() as u32,
            ))
        }
        status => {
            let modified = status?.stx_mtime;
            Ok(Duration::new(modified.tv_sec as u64, modified.tv_nsec))
        }
    }
}

struct Probe {
    dir: tempfile::TempDir,
}

impl Probe {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        options.open(self.at(name))
    }

    fn make(&self, name: &str) -> io::Result<PathBuf> {
        fs::write(self.at(name), "text")?;
        Ok(self.at(name))
    }

    /// Makes a file with blocks of 4 KiB at multiples of `distance`. Returns the bytes allocated for it.
    fn allocated_of(&self, blocks: u64, distance: u64) -> io::Result<u64> {
        let file = self.file("blocks")?;
        for i in 0..blocks {
            file.write_all_at(&[1; 4 * KIB as usize], i * distance)?;
        }
        file.set_len(blocks * distance)?;
        file.sync_all()?;
        drop(file);
        Ok(allocated(&self.at("blocks")))
    }

    /// Writes twice to an open file, with a pause that is longer than the clock's tick. A server of CIFS changes the
    /// time of the second write two seconds later.
    fn writes_change_times(&self) -> io::Result<bool> {
        let file = self.file("times")?;
        let modified = |at| -> io::Result<_> {
            file.write_all_at(b"text", at)?;
            file.sync_all()?;
            modified(&self.at("times"))
        };
        let before = modified(0)?;
        std::thread::sleep(tick(self.dir.path())? + Duration::from_millis(50));
        let after = modified(4)?;
        Ok(before != after)
    }

    /// A CIFS client asks the server again after a second.
    fn allocated_at_once_and_later(&self) -> io::Result<(u64, u64)> {
        let at_once = self.allocated_of(1, MIB)?;
        std::thread::sleep(Duration::from_millis(2500));
        Ok((at_once, allocated(&self.at("blocks"))))
    }

    fn extent_tree(&self) -> io::Result<bool> {
        let [four, five] = [4, 5].map(|blocks| self.allocated_of(blocks, 64 * KIB));
        Ok((four?, five?) == (16 * KIB, 24 * KIB))
    }

    fn stores_holes_inline(&self) -> io::Result<bool> {
        let file = self.file("inline")?;
        file.set_len(1)?;
        Ok(rustix::fs::seek(&file, SeekFrom::Data(0)).is_ok())
    }

    fn reflinks(&self) -> io::Result<bool> {
        fs::write(self.at("source"), vec![1; 64 * KIB as usize])?;
        let source = File::open(self.at("source"))?;
        Ok(rustix::fs::ioctl_ficlone(self.file("clone")?, source).is_ok())
    }

    fn preallocates(&self, flags: FallocateFlags) -> io::Result<bool> {
        Ok(rustix::fs::fallocate(self.file("preallocated")?, flags, 0, MIB).is_ok())
    }

    #[expect(unsafe_code, reason = "no crate wraps this ioctl")]
    fn block_map(&self) -> io::Result<bool> {
        const FS_IOC_FIEMAP: libc::Ioctl = 0xC020_660B_u32 as libc::Ioctl;
        self.allocated_of(1, MIB)?;
        let file = File::open(self.at("blocks"))?;
        // `struct fiemap` (include/uapi/linux/fiemap.h): start, length, flags and mapped_extents,
        // extent_count. With a count of 0 the kernel only counts.
        let mut header = [0_u64, u64::MAX, 0, 0];
        // SAFETY: the kernel writes to the header only.
        let status = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, header.as_mut_ptr()) };
        Ok(status == 0 && header[2] >> 32 > 0)
    }

    fn links_unnamed(&self) -> bool {
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let unnamed = rustix::fs::openat(CWD, self.dir.path(), flags, Mode::RUSR);
        unnamed.is_ok_and(|file| {
            let entry = format!("/proc/self/fd/{}", file.as_raw_fd());
            let flags = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(CWD, entry, CWD, self.at("linked"), flags).is_ok()
        })
    }

    fn renames_without_replacing(&self) -> io::Result<bool> {
        let (from, to) = (self.make("from")?, self.at("to"));
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).is_ok())
    }

    fn replaces_an_open_file(&self) -> io::Result<bool> {
        let _open = File::open(self.make("open")?)?;
        Ok(fs::rename(self.make("new")?, self.at("open")).is_ok())
    }

    /// Makes a special file: for a device, `/dev/zero`.
    fn makes(&self, name: &str, kind: FileType) -> bool {
        let device = rustix::fs::makedev(1, 5);
        let made = rustix::fs::mknodat(CWD, self.at(name), kind, Mode::RUSR, device);
        made.is_ok() && !fs::symlink_metadata(self.at(name)).is_ok_and(|file| file.is_file())
    }

    fn sets_permissions(&self) -> io::Result<bool> {
        let path = self.make("permissions")?;
        Ok([0o4751, 0o600].iter().all(|&mode| {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).is_ok()
                && fs::metadata(&path).is_ok_and(|found| found.mode() & 0o7777 == mode)
        }))
    }

    fn sets_owner(&self) -> io::Result<bool> {
        let path = self.make("owner")?;
        let set = chown(&path, Some(1234), Some(1234));
        Ok(set.is_ok() && fs::metadata(&path)?.uid() == 1234)
    }

    /// Sets a list with an entry for a user.
    fn sets_list(&self) -> io::Result<bool> {
        let path = self.make("list")?;
        let list = access_control_list();
        let name = "system.posix_acl_access";
        Ok(rustix::fs::setxattr(path, name, &list, XattrFlags::empty()).is_ok())
    }

    fn sets_inode_flags(&self) -> io::Result<bool> {
        let file = File::open(self.make("flags")?)?;
        let Ok(flags) = ioctl_getflags(&file) else {
            return Ok(false);
        };
        let [append, immutable] = [IFlags::APPEND, IFlags::IMMUTABLE]
            .map(|flag| ioctl_setflags(&file, flags | flag).is_ok());
        if append || immutable {
            // A file with such a flag could not be removed.
            ioctl_setflags(&file, flags)?;
        }
        Ok(append && immutable)
    }

    fn opens_by_openat2(&self) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let path = self.dir.path();
        rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty()).is_ok()
    }

    fn has_statx(&self) -> bool {
        let path = self.dir.path();
        rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS).is_ok()
    }

    fn copies_file_ranges(&self) -> io::Result<bool> {
        let source = File::open(self.make("range")?)?;
        let copy = self.file("copied-range")?;
        Ok(rustix::fs::copy_file_range(source, Some(&mut 0), copy, Some(&mut 0), 4).is_ok())
    }

    fn leases(&self) -> io::Result<bool> {
        let options = CopyOptions::new().lease_source(true);
        let leased = options.sparse_copy(self.make("leased")?, self.at("leased-copy"));
        Ok(leased.is_ok())
    }

    fn sets_attribute(&self, name: &str) -> io::Result<bool> {
        let path = self.make("attributes")?;
        Ok(rustix::fs::setxattr(&path, name, b"value", XattrFlags::empty()).is_ok())
    }
}
