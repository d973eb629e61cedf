//! What an argument of a system call is: how it is checked, and how `-strace` prints it.

/// Names of flag bits, or of values.
pub type Names = &'static [(&'static str, u64)];

/// A kind of argument.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A signed 32-bit number.
    Int,
    /// A signed number.
    Long,
    /// An unsigned number.
    Size,
    /// A number in hexadecimal.
    Hex,
    /// A number in octal.
    Mode,
    /// A file descriptor.
    Fd,
    /// A file descriptor of a folder, or `AT_FDCWD`.
    DirFd,
    /// The name of a file, which is looked for in the sysroot.
    Path,
    /// Another string.
    Text,
    /// An address that is not read or written.
    Address,
    /// An address of something that is read, or read and written.
    Pointer,
    /// An address like that if this holds of the call's arguments; whatever lies there if not.
    PointerIf(fn(&[u64; 6]) -> bool),
    /// Bytes to read; their number is in this argument.
    Buffer(u8),
    /// Bytes to be written; their number is in this argument.
    OutBuffer(u8),
    /// A structure of this size to be written.
    Out(u64),
    /// Bits that have names.
    Flags(Names),
    /// Values that have names.
    Enum(Names),
    /// A signal.
    Signal,
}

impl Kind {
    /// Whether the kernel follows it in a call with these arguments.
    pub fn is_pointer(self, args: &[u64; 6]) -> bool {
        match self {
            Self::PointerIf(holds) => holds(args),
            Self::Path | Self::Text | Self::Pointer | Self::Buffer(_) | Self::OutBuffer(_) | Self::Out(_) => {
                true
            }
            Self::Int | Self::Long | Self::Size | Self::Hex | Self::Mode | Self::Fd | Self::DirFd => false,
            Self::Address | Self::Flags(_) | Self::Enum(_) | Self::Signal => false,
        }
    }
}

macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name as u64)),*] };
}
/// `PROT_*`.
pub const PROT: Names = names![PROT_READ, PROT_WRITE, PROT_EXEC];
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
/// `O_*`, as the generic layout has them.
pub const OPEN: Names = names![
    O_RDONLY,
    O_WRONLY,
    O_RDWR,
    O_CREAT,
    O_EXCL,
    O_NOCTTY,
    O_TRUNC,
    O_APPEND,
    O_NONBLOCK,
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_PATH
];
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
pub const SEEK: Names = names![SEEK_SET, SEEK_CUR, SEEK_END];
/// Operations of `futex`, with those that the private flag makes.
pub const FUTEX: Names = &[
    ("FUTEX_WAIT", 0),
    ("FUTEX_WAKE", 1),
    ("FUTEX_PRIVATE_FLAG|FUTEX_WAIT", 128),
    ("FUTEX_PRIVATE_FLAG|FUTEX_WAKE", 129),
    ("FUTEX_PRIVATE_FLAG|FUTEX_WAIT_BITSET", 137),
    ("FUTEX_PRIVATE_FLAG|FUTEX_CLOCK_REALTIME|FUTEX_WAIT_BITSET", 393),
];
