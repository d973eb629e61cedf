//! Register files as rows: offset, name, access and reset value of each register, as the datasheet prints them.

use base::Width;

/// What a guest may do with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    R,
    /// Write only.
    W,
    /// Read and write.
    RW,
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Offset from the start of the device, in bytes.
    pub offset: u64,
    /// The datasheet's name.
    pub name: &'static str,
    /// What a guest may do with it.
    pub access: Access,
    /// What it reads after reset, where that is a constant.
    pub reset: Option<u64>,
}

impl Row {
    /// Whether the register can be read.
    pub fn readable(&self) -> bool {
        self.access != Access::W
    }

    /// Whether the register can be written.
    pub fn writable(&self) -> bool {
        self.access != Access::R
    }
}

/// Makes an enum of registers from rows `OFFSET NAME ACCESS [= RESET];`. Two registers may share an offset when one
/// is only read and the other only written.
macro_rules! registers {
    (@reset) => { None };
    (@reset $reset:expr) => { Some($reset) };
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $offset:literal $register:ident $access:ident $(= $reset:expr)?;)*
    }) => {
        $(#[$meta])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the datasheet's names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$doc])* $register,)* }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$register),*];

            /// The rows, in the order of the enum.
            pub const ROWS: &'static [$crate::chips::registers::Row] = &[$(
                $crate::chips::registers::Row {
                    offset: $offset,
                    name: stringify!($register),
                    access: $crate::chips::registers::Access::$access,
                    reset: registers!(@reset $($reset)?),
                },
            )*];

            /// The register that a read at `offset` reaches.
            $vis fn read_at(offset: u64) -> Option<Self> {
                let at = Self::ROWS.iter().position(|row| row.offset == offset && row.readable())?;
                Some(Self::ALL[at])
            }

            /// The register that a write at `offset` reaches.
            $vis fn write_at(offset: u64) -> Option<Self> {
                let at = Self::ROWS.iter().position(|row| row.offset == offset && row.writable())?;
                Some(Self::ALL[at])
            }
        }
    };
}
pub(crate) use registers;

/// What a read of `width` at `offset` sees of a 64-bit little-endian register that starts at a multiple of 8.
pub fn part(value: u64, offset: u64, width: Width) -> u64 {
    value >> (8 * (offset & 7)) & width.mask()
}

/// The 64-bit little-endian register `old` after a write of `width` at `offset`.
pub fn merge(old: u64, offset: u64, width: Width, value: u64) -> u64 {
    let shift = 8 * (offset & 7);
    let mask = width.mask() << shift;
    old & !mask | value << shift & mask
}
