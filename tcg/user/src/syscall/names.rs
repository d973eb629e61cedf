//! Names of the values and flags in arguments of system calls, as `-strace` prints them.
//!
//! The numbers are the generic ones, which x86-64 shares, save for some flags of `open` on aarch64.

use super::kind::{Names, Parts};

macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name as u64)),*] };
}
/// `PROT_*`.
pub const PROT: Names = names![PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC];
/// `MAP_*`.
pub const MAP: Names = names![
    MAP_SHARED,
    MAP_PRIVATE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_NORESERVE,
    MAP_STACK,
    MAP_POPULATE,
    MAP_DENYWRITE,
    MAP_LOCKED,
    MAP_HUGETLB
];
/// `AT_*`.
pub const AT: Names =
    names![AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH];
/// Arguments of `open`, as the generic layout has them.
pub const OPEN: Parts = Parts {
    mask: libc::O_ACCMODE as u64,
    values: names![O_RDONLY, O_WRONLY, O_RDWR],
    flags: names![
        O_CREAT,
        O_EXCL,
        O_NOCTTY,
        O_TRUNC,
        O_APPEND,
        O_NONBLOCK,
        O_CLOEXEC,
        O_TMPFILE,
        O_DIRECTORY,
        O_NOFOLLOW,
        O_PATH
    ],
    flags_first: false,
};
/// `CLONE_*`.
pub const CLONE: Names = names![
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_VFORK,
    CLONE_PARENT,
    CLONE_THREAD,
    CLONE_SYSVSEM,
    CLONE_SETTLS,
    CLONE_PARENT_SETTID,
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID
];
/// `RLIMIT_*`.
pub const RLIMIT: Names = &[
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
];
/// `CLOCK_*`.
pub const CLOCK: Names =
    names![CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID];
/// `how` of `sigprocmask`.
pub const SIG_HOW: Names = names![SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK];
/// `lseek`'s origin.
pub const SEEK: Names = names![SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE];
/// Operations of `futex`.
pub const FUTEX: Parts = Parts {
    mask: 0x7f,
    values: names![
        FUTEX_WAIT,
        FUTEX_WAKE,
        FUTEX_FD,
        FUTEX_REQUEUE,
        FUTEX_CMP_REQUEUE,
        FUTEX_WAKE_OP,
        FUTEX_LOCK_PI,
        FUTEX_UNLOCK_PI,
        FUTEX_TRYLOCK_PI,
        FUTEX_WAIT_BITSET,
        FUTEX_WAKE_BITSET,
        FUTEX_WAIT_REQUEUE_PI,
        FUTEX_CMP_REQUEUE_PI,
        FUTEX_LOCK_PI2
    ],
    flags: names![FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME],
    flags_first: true,
};
/// Families of sockets, as QEMU prints them.
pub const SOCKET_DOMAIN: Names = names![PF_UNIX, PF_INET, PF_INET6, PF_NETLINK, PF_PACKET];
/// Types of sockets.
pub const SOCKET_TYPE: Parts = Parts {
    mask: 0xf,
    values: names![SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET],
    flags: names![SOCK_CLOEXEC, SOCK_NONBLOCK],
    flags_first: false,
};
/// Protocols of `PF_INET`; the default of all families is called by the first.
pub const PROTOCOL: Names =
    names![IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_RAW];
/// `MSG_*`.
pub const MSG: Names = names![
    MSG_OOB,
    MSG_PEEK,
    MSG_DONTROUTE,
    MSG_CTRUNC,
    MSG_TRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_WAITALL,
    MSG_CONFIRM,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_MORE,
    MSG_WAITFORONE,
    MSG_CMSG_CLOEXEC
];
/// Commands of `fcntl`.
pub const FCNTL: Names = names![
    F_DUPFD,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_SETOWN,
    F_GETOWN,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_SETLEASE,
    F_GETLEASE,
    F_NOTIFY,
    F_DUPFD_CLOEXEC,
    F_SETPIPE_SZ,
    F_GETPIPE_SZ,
    F_ADD_SEALS,
    F_GET_SEALS
];
/// Requests of `ioctl` that are common.
pub const IOCTL: Names = names![
    TCGETS,
    TCSETS,
    TCSETSW,
    TCSETSF,
    TCSBRK,
    TCXONC,
    TCFLSH,
    TIOCEXCL,
    TIOCNXCL,
    TIOCSCTTY,
    TIOCGPGRP,
    TIOCSPGRP,
    TIOCOUTQ,
    TIOCSTI,
    TIOCGWINSZ,
    TIOCSWINSZ,
    TIOCGSID,
    TIOCGPTN,
    TIOCSPTLCK,
    TIOCNOTTY,
    FIONREAD,
    FIONBIO,
    FIONCLEX,
    FIOCLEX,
    FIOASYNC,
    FICLONE,
    SIOCGIFNAME,
    SIOCGIFCONF,
    SIOCGIFFLAGS,
    SIOCGIFADDR,
    SIOCGIFMTU,
    SIOCGIFHWADDR,
    SIOCGIFINDEX
];
/// What `access` asks for.
pub const ACCESS: Names = names![F_OK, R_OK, W_OK, X_OK];
/// Types of files.
pub const FILE_TYPE: Names = names![S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO];
/// Timers of `setitimer`.
pub const ITIMER: Names = names![ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF];
/// Advice of `madvise`.
pub const ADVICE: Names = names![
    MADV_NORMAL,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MADV_WILLNEED,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_REMOVE,
    MADV_DONTFORK,
    MADV_DOFORK,
    MADV_MERGEABLE,
    MADV_UNMERGEABLE,
    MADV_HUGEPAGE,
    MADV_NOHUGEPAGE,
    MADV_DONTDUMP,
    MADV_DODUMP,
    MADV_WIPEONFORK,
    MADV_KEEPONFORK,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE
];
/// Flags of `clock_nanosleep`.
pub const TIMER: Names = names![TIMER_ABSTIME];
/// Signals, by number.
pub const SIGNALS: Names = names![
    SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2,
    SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
    SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS
];
