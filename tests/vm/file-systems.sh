#!/usr/bin/env bash
# Runs the contract tests on other kernels and file systems, in QEMU (tests/vm/run). As root.
#
#   tests/vm/file-systems.sh [-l] [-k VERSION]... [-f FILTER] [FILE-SYSTEM...]
#
#   -l  all tests. They take more than an hour in a machine. Without it, tests are left out that run hundreds
#       of copies under strace, that limit memory, or whose subject is no property of a file system: threads,
#       hostile guests, paths of guests. What is left takes 5 to 10 minutes.
#   -k  kernel: 6.1 or 6.12 (default: both)
#   -f  only tests whose names contain this
#
# File systems (default: all): ext4 xfs btrfs tmpfs xfs-project overlay-ext4 overlay-xfs f2fs nfs-ext4 nfs-xfs
# cifs vfat exfat. NFS (4.2) and CIFS are mounted over the loopback network; "nfs-xfs" is an export of XFS.
#
# Each pair of kernel and file system has a machine of its own. A line says for each how many tests passed and
# failed, and how many are not applicable because the file system lacks a feature that they need. The whole
# output is in $OUT (default: target/vm-out). If FAST_COPY_RESULTS names a file, a row for each is appended to it,
# for docs/reliability.md.
#
# Exit status: 0 if no test failed, 1 if one did, 2 if something is missing.
set -euo pipefail
shopt -s inherit_errexit

all=(ext4 xfs btrfs tmpfs xfs-project overlay-ext4 overlay-xfs f2fs nfs-ext4 nfs-xfs cifs vfat exfat)
long=(::cancel:: ::clone_disk:: ::contention:: ::descriptors:: ::hostile:: ::preopens:: ::quota::
  ::without_openat2:: ::workers:: ::limits::memory_does_not_grow
  ::seek_answers::answers ::seek_answers::wrong
  ::strategies::a_ ::strategies::an_)
# The machine is stopped after this many seconds, and the tests a minute earlier.
limit=${LIMIT:-2700}

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

# Makes a file system on a disk, and mounts it.
on_disk() { # KIND DISK DIRECTORY [MOUNT OPTIONS]
  case $1 in
    ext4) mkfs.ext4 -q -F -m 0 "$2" ;;
    xfs | f2fs) "mkfs.$1" -q -f "$2" >/dev/null ;;
    vfat | exfat) "mkfs.$1" "$2" >/dev/null ;;
  esac
  mkdir -p "$3"
  mount -t "$1" ${4:+-o "$4"} "$2" "$3"
}

serve_nfs() { # DIRECTORY
  modprobe nfsd
  mount -t nfsd nfsd /proc/fs/nfsd
  # Without clients of an earlier boot there is nothing to wait for.
  echo 10 >/proc/fs/nfsd/nfsv4leasetime
  echo 10 >/proc/fs/nfsd/nfsv4gracetime
  # It is the root of the exports (fsid=0): the root directory of the machine can't be exported.
  exportfs -o rw,fsid=0,no_root_squash,no_subtree_check,insecure "127.0.0.1:$1"
  rpc.mountd --no-udp --no-nfs-version 3 --no-nfs-version 2
  rpc.nfsd --no-udp --no-nfs-version 3 --nfs-version 4.2 4
}

serve_smb() { # DIRECTORY
  mkdir -p /run/samba
  cat >/run/samba/smb.conf <<SAMBA
[global]
  server role = standalone server
  interfaces = lo
  bind interfaces only = yes
  smb ports = 445
  disable netbios = yes
  load printers = no
  passdb backend = tdbsam:/run/samba/passdb.tdb
  private dir = /run/samba
  lock directory = /run/samba
  state directory = /run/samba
  cache directory = /run/samba
  pid directory = /run/samba
  ncalrpc dir = /run/samba
  log file = /run/samba/log
[disk]
  path = $1
  read only = no
SAMBA
  printf 'pass\npass\n' | smbpasswd -c /run/samba/smb.conf -s -a root >/dev/null
  smbd --daemon --configfile=/run/samba/smb.conf
}

# Mounts a file system in the machine. Prints the directory to test on; none if the tests mount it themselves.
mount_it() { # FILE-SYSTEM
  case $1 in
    # The tests mount them, by loop devices. `mount` does not load that module.
    ext4 | xfs | btrfs | tmpfs) modprobe -a loop ext4 xfs btrfs fuse >&2 ;;
    f2fs | vfat | exfat)
      on_disk "$1" /dev/vda /run/disk
      echo /run/disk
      ;;
    xfs-project)
      on_disk xfs /dev/vda /run/disk prjquota
      mkdir /run/disk/project
      xfs_quota -x -c 'project -s -p /run/disk/project 42' -c 'limit -p bhard=3g 42' /run/disk >/dev/null
      echo /run/disk/project
      ;;
    overlay-*)
      on_disk "${1#overlay-}" /dev/vda /run/disk
      mkdir /run/disk/{lower,upper,work} /run/over
      mount -t overlay -o lowerdir=/run/disk/lower,upperdir=/run/disk/upper,workdir=/run/disk/work over /run/over
      echo /run/over
      ;;
    nfs-*)
      on_disk "${1#nfs-}" /dev/vda /run/disk
      serve_nfs /run/disk >&2
      mkdir /run/mounted
      mount -t nfs4 -o vers=4.2,proto=tcp 127.0.0.1:/ /run/mounted
      echo /run/mounted
      ;;
    cifs)
      on_disk xfs /dev/vda /run/disk
      serve_smb /run/disk >&2
      mkdir /run/mounted
      mount -t cifs -o vers=3.1.1,username=root,password=pass //127.0.0.1/disk /run/mounted
      echo /run/mounted
      ;;
  esac
}

# In the machine.
if [ "${1-}" = --inside ]; then
  name=$2 program=$3 seconds=$4 filter=$5
  shift 5
  # It may be built anew meanwhile.
  cp "$program" /run/contract
  mkdir /run/tmp
  export TMPDIR=/run/tmp
  directory=$(mount_it "$name")
  if [ -n "$directory" ]; then
    chmod 777 "$directory" 2>/dev/null || true
    export FAST_COPY_TEST_DIRECTORIES="$name=$directory"
  else
    filter=$name::$filter
  fi
  arguments=("$@" ${filter:+"$filter"})
  if ! /run/contract --list "${arguments[@]}" >/run/list 2>/run/errors; then
    cat /run/errors
    exit 1
  fi
  sed -n 's/^\(.*\): test$/listed \1/p' /run/list
  status=0
  timeout -k 10 "$seconds" /run/contract --color never "${arguments[@]}" || status=$?
  echo "status $status"
  exit 0
fi

fail() {
  echo "tests/vm/file-systems.sh: $*" >&2
  exit 2
}

kernels=() filter='' left_out=()
for name in "${long[@]}"; do left_out+=(--skip "$name"); done
while getopts lk:f: flag; do
  case $flag in
    l) left_out=() ;;
    k) kernels+=("$OPTARG") ;;
    f) filter=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)
systems=("$@")
[ $# -gt 0 ] || systems=("${all[@]}")
[ "$(id -u)" = 0 ] || fail "must be run as root"

# The machine sees the programs of this one.
export PATH=$PATH:/usr/sbin:/sbin
needed() { # FILE-SYSTEM
  case $1 in
    ext4 | xfs | btrfs | tmpfs) echo mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs ;;
    xfs-project) echo mkfs.xfs:xfsprogs xfs_quota:xfsprogs ;;
    overlay-ext4) echo mkfs.ext4:e2fsprogs ;;
    overlay-xfs) echo mkfs.xfs:xfsprogs ;;
    f2fs) echo mkfs.f2fs:f2fs-tools ;;
    vfat) echo mkfs.vfat:dosfstools ;;
    exfat) echo mkfs.exfat:exfatprogs ;;
    nfs-*) echo mkfs.xfs:xfsprogs rpc.nfsd:nfs-kernel-server exportfs:nfs-kernel-server mount.nfs4:nfs-common ;;
    cifs) echo mkfs.xfs:xfsprogs smbd:samba smbpasswd:samba-common-bin mount.cifs:cifs-utils ;;
    *) fail "no file system $1; there are ${all[*]}" ;;
  esac
}
missing=()
for name in "${systems[@]}"; do
  tools=$(needed "$name")
  for tool in strace:strace qemu-system-x86_64:qemu-system-x86 $tools; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
  done
done
if [ ${#missing[@]} -gt 0 ]; then
  fail "missing: apt-get install --no-install-recommends $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
fi

program=$(cargo test --locked --test contract --no-run --message-format=json |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep '/contract-[^/]*$' | tail -1)
[ -x "$program" ] || fail "the contract tests can't be built"
# The guests are built here, so that the machine finds them up to date. Status 3: there is no toolchain.
guest/build.sh 2>/dev/null || [ $? = 3 ] || fail "the guests can't be built"

export OUT=${OUT:-${CARGO_TARGET_DIR:-$root/target}/vm-out}
mkdir -p "$OUT"

# Prints the tests that ended in this way, sorted.
ended_with() { # OUTCOME LOG
  sed -nE "s/^test +(.*[^ ]) +\.\.\. $1\$/\1/p" "$2" | sort
}

# Prints a line about the output of a machine. Returns 1 if a test failed or did not end.
summarize() { # TITLE LOG
  local title=$1 log=$2 listed passed failed applicable ended hung name
  listed=$(sed -n 's/^listed //p' "$log" | sort)
  passed=$(ended_with ok "$log")
  failed=$(ended_with FAILED "$log")
  ended=$(sort <<<"$passed"$'\n'"$failed")
  hung=$(comm -23 <(echo "$listed") <(echo "$ended"))
  applicable=$(grep -c ' is not applicable: ' "$log" || true)
  if [ -z "$listed" ]; then
    echo "$title: no test ran, see $log"
    return 1
  fi
  echo "$title: $(wc -w <<<"$passed") passed, $(wc -w <<<"$failed") failed," \
    "$(wc -w <<<"$hung") not ended, $applicable not applicable"
  if [ -n "${FAST_COPY_RESULTS-}" ]; then
    printf '%s\tpassed=%s\tfailed=%s\tnot ended=%s\n' "$title" \
      "$(wc -w <<<"$passed")" "$(wc -w <<<"$failed")" "$(wc -w <<<"$hung")" >>"$FAST_COPY_RESULTS"
  fi
  for name in $failed; do echo "    failed: $name"; done
  for name in $hung; do echo "    not ended: $name"; done
  [ "$passed" = "$listed" ]
}

wrong=0
for kernel in "${kernels[@]}"; do
  for name in "${systems[@]}"; do
    log=$OUT/$kernel-$name.log
    tests/vm/run -k "$kernel" -m 6144 -d 6G -t "$limit" -- \
      tests/vm/file-systems.sh --inside "$name" "$program" $((limit - 60)) "$filter" "${left_out[@]}" >"$log" 2>&1 || true
    summarize "$kernel $name" "$log" || wrong=1
  done
done
exit $wrong
