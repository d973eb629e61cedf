//! What an argument of a system call is: how it is checked, and how `-strace` prints it.

/// Names of flag bits, or of values.
pub type Names = &'static [(&'static str, u64)];

/// An argument that holds a value in some bits and flags in the others.
pub struct Parts {
    /// The bits of the value.
    pub mask: u64,
    /// Its names.
    pub values: Names,
    /// The flags' names.
    pub flags: Names,
    /// They are printed before the value.
    pub flags_first: bool,
}

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
    /// The type and rights of a file.
    Mode,
    /// A file descriptor.
    Fd,
    /// A file descriptor of a folder, or `AT_FDCWD`.
    DirFd,
    /// The name of a file, which is looked for in the sysroot.
    Path,
    /// Another string.
    Text,
    /// A list of strings that ends with a null pointer.
    Texts,
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
    /// A `struct timespec` to read.
    Timespec,
    /// A `struct itimerval` to read.
    Itimerval,
    /// A set of signals to read.
    SignalSet,
    /// Bits that have names.
    Flags(Names),
    /// Values that have names.
    Enum(Names),
    /// Both.
    Parts(&'static Parts),
    /// A signal.
    Signal,
    /// What this says of a call with these arguments; `None`: it is not looked at.
    By(fn(&[u64; 6]) -> Option<Kind>),
}

impl Kind {
    /// What it is in a call with these arguments; `None` if the call does not have it.
    pub fn of(self, args: &[u64; 6]) -> Option<Self> {
        match self {
            Self::By(choose) => choose(args),
            kind => Some(kind),
        }
    }

    /// Whether the kernel follows it in a call with these arguments.
    pub fn is_pointer(self, args: &[u64; 6]) -> bool {
        match self {
            Self::PointerIf(holds) => holds(args),
            Self::By(choose) => choose(args).is_some_and(|kind| kind.is_pointer(args)),
            Self::Path | Self::Text | Self::Texts | Self::Pointer | Self::Buffer(_) => true,
            Self::OutBuffer(_) | Self::Out(_) => true,
            Self::Timespec | Self::Itimerval | Self::SignalSet => true,
            Self::Int | Self::Long | Self::Size | Self::Hex | Self::Mode | Self::Fd | Self::DirFd => false,
            Self::Address | Self::Flags(_) | Self::Enum(_) | Self::Parts(_) | Self::Signal => false,
        }
    }
}
