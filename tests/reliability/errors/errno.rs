//! The error numbers that Linux defines (errno(3)).

use super::calls::Call;

macro_rules! errors {
    ($($name:ident)+) => {
        /// All error numbers, each with its name.
        pub const ALL: &[(&str, i32)] = &[$((stringify!($name), libc::$name)),+];
    };
}

errors![
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY
    EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK
    EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT
    EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT EBFONT ENOSTR ENODATA ETIME
    ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ
    EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK
    EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN
    ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE
    EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED
    EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
];

/// Those that file systems, kernels and seccomp filters return most.
pub const COMMON: &[i32] = &[
    libc::EINTR,
    libc::EAGAIN,
    libc::EPERM,
    libc::EACCES,
    libc::ENOSYS,
    libc::ENOTTY,
    libc::EBADF,
    libc::EXDEV,
    libc::EINVAL,
    libc::EIO,
    libc::ENOSPC,
    libc::EDQUOT,
    libc::ENOMEM,
    libc::ENOENT,
    libc::EEXIST,
    libc::EROFS,
    libc::ETIMEDOUT,
    libc::ESTALE,
    libc::EMFILE,
    libc::EOPNOTSUPP,
    libc::ETXTBSY,
    libc::EISDIR,
    libc::EFBIG,
];

/// Those with which the reply of a call that has succeeded can be lost: the server does not answer, or gets the
/// request a second time.
pub const LOST_REPLY: &[i32] = &[
    libc::EIO,
    libc::ETIMEDOUT,
    libc::ESTALE,
    libc::ECONNRESET,
    libc::EREMOTEIO,
    libc::ENOENT,
    libc::EEXIST,
    libc::EINTR,
];

/// Whether an error can hide that a call has succeeded. A second request finds what the first one has done.
pub fn can_be_lost(call: Call, error: i32) -> bool {
    match error {
        libc::ENOENT => call.is("unlinkat") || call.name.starts_with("renameat"),
        libc::EEXIST => call.name == "linkat" || call.is("renameat2"),
        _ => true,
    }
}

pub fn name(number: i32) -> String {
    let known = ALL.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| format!("error {number}"), |(name, _)| (*name).to_owned())
}
