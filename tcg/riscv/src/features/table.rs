//! The rows: one an extension. Those marked `Max` are in the model `max` alone, `Asked` in none but profiles.

/// When an extension is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In the models `rv64` and `max`, unless switched off.
    On,
    /// In the model `max`, or when switched on.
    Max,
    /// When switched on, or in a profile.
    Asked,
    /// When all of these are, or when switched on.
    With(&'static [Ext]),
    /// When one of these is.
    Any(&'static [Ext]),
    /// When there are vectors in registers of at least so many bits.
    Vlen(u64),
    /// Always: a property of every hart here, which cannot be switched.
    Always,
}

pub(super) struct Row {
    pub ext: Ext,
    pub name: &'static str,
    pub when: When,
    /// Extensions without which it cannot be.
    pub needs: &'static [Ext],
}

macro_rules! extensions {
    ($($ext:ident $name:literal $when:expr, needs [$($needs:ident),*];)*) => {
        /// An extension.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Ext { $(#[doc = concat!("`", $name, "`.")] $ext,)* }

        use When::*;
        pub(super) static TABLE: &[Row] =
            &[$(Row { ext: Ext::$ext, name: $name, when: $when, needs: &[$(Ext::$needs),*] },)*];
    };
}

extensions! {
    I "i" Always, needs [];
    M "m" On, needs [];
    A "a" On, needs [];
    F "f" On, needs [Zicsr];
    D "d" On, needs [F];
    C "c" On, needs [];
    B "b" Max, needs [Zba, Zbb, Zbs];
    V "v" Max, needs [D, Zve64d];

    Zic64b "zic64b" With(&[Ext::Zicbom, Ext::Zicbop, Ext::Zicboz]), needs [];
    Zicbom "zicbom" On, needs [];
    Zicbop "zicbop" On, needs [];
    Zicboz "zicboz" On, needs [];
    Ziccamoa "ziccamoa" With(&[Ext::Zaamo]), needs [Zaamo];
    Ziccif "ziccif" Always, needs [];
    Zicclsm "zicclsm" Always, needs [];
    Ziccrse "ziccrse" With(&[Ext::Zalrsc]), needs [Zalrsc];
    Zicntr "zicntr" On, needs [Zicsr];
    Zicond "zicond" Max, needs [];
    Zicsr "zicsr" On, needs [];
    Zifencei "zifencei" On, needs [];
    Zihintntl "zihintntl" On, needs [];
    Zihintpause "zihintpause" On, needs [];
    Zihpm "zihpm" On, needs [Zicsr];
    Zimop "zimop" Max, needs [];
    Zmmul "zmmul" With(&[Ext::M]), needs [];
    Za64rs "za64rs" With(&[Ext::Zalrsc]), needs [Zalrsc];
    Zaamo "zaamo" With(&[Ext::A]), needs [];
    Zalrsc "zalrsc" With(&[Ext::A]), needs [];
    Zabha "zabha" Max, needs [Zaamo];
    Zawrs "zawrs" On, needs [];
    Zfa "zfa" On, needs [F];
    Zfh "zfh" Max, needs [Zfhmin];
    Zfhmin "zfhmin" Max, needs [F];
    Zca "zca" With(&[Ext::C]), needs [];
    Zcb "zcb" Max, needs [Zca];
    Zcd "zcd" With(&[Ext::C, Ext::D]), needs [Zca, D];
    Zcmop "zcmop" Max, needs [Zca];
    Zba "zba" On, needs [];
    Zbb "zbb" On, needs [];
    Zbc "zbc" On, needs [];
    Zbkb "zbkb" Max, needs [];
    Zbkc "zbkc" Max, needs [];
    Zbkx "zbkx" Max, needs [];
    Zbs "zbs" On, needs [];
    Zkn "zkn" Max, needs [Zbkb, Zbkc, Zbkx, Zkne, Zknd, Zknh];
    Zknd "zknd" Max, needs [];
    Zkne "zkne" Max, needs [];
    Zknh "zknh" Max, needs [];
    Zks "zks" Max, needs [Zbkb, Zbkc, Zbkx, Zksed, Zksh];
    Zksed "zksed" Max, needs [];
    Zksh "zksh" Max, needs [];
    Zkt "zkt" Max, needs [];
    Zvbb "zvbb" Max, needs [Zvkb];
    Zvbc "zvbc" Max, needs [Zve64x];
    Zve32x "zve32x" With(&[Ext::V]), needs [Zicsr];
    Zve32f "zve32f" With(&[Ext::V]), needs [Zve32x, F];
    Zve64x "zve64x" With(&[Ext::V]), needs [Zve32x];
    Zve64f "zve64f" With(&[Ext::V]), needs [Zve32f, Zve64x];
    Zve64d "zve64d" With(&[Ext::V]), needs [Zve64f, D];
    Zvfh "zvfh" Max, needs [Zve32f, Zvfhmin, Zfhmin];
    Zvfhmin "zvfhmin" Max, needs [Zve32f];
    Zvkb "zvkb" Max, needs [Zve32x];
    Zvkg "zvkg" Max, needs [Zve32x];
    Zvkn "zvkn" Max, needs [Zvkned, Zvknhb, Zvkb, Zvkt];
    Zvknc "zvknc" Max, needs [Zvkn, Zvbc];
    Zvkned "zvkned" Max, needs [Zve32x];
    Zvkng "zvkng" Max, needs [Zvkn, Zvkg];
    Zvknha "zvknha" Max, needs [Zve32x];
    Zvknhb "zvknhb" Max, needs [Zve64x];
    Zvks "zvks" Max, needs [Zvksed, Zvksh, Zvkb, Zvkt];
    Zvksc "zvksc" Max, needs [Zvks, Zvbc];
    Zvksed "zvksed" Max, needs [Zve32x];
    Zvksg "zvksg" Max, needs [Zvks, Zvkg];
    Zvksh "zvksh" Max, needs [Zve32x];
    Zvkt "zvkt" Max, needs [];
    Zvl32b "zvl32b" Vlen(32), needs [Zve32x];
    Zvl64b "zvl64b" Vlen(64), needs [Zve32x];
    Zvl128b "zvl128b" Vlen(128), needs [Zve32x];
    Zvl256b "zvl256b" Vlen(256), needs [Zve32x];
    Zvl512b "zvl512b" Vlen(512), needs [Zve32x];
    Zvl1024b "zvl1024b" Vlen(1024), needs [Zve32x];

    Ssccptr "ssccptr" Always, needs [];
    Sscofpmf "sscofpmf" Max, needs [Zihpm];
    Sscounterenw "sscounterenw" Always, needs [];
    Sstc "sstc" On, needs [];
    Sstvala "sstvala" Always, needs [];
    Sstvecd "sstvecd" Always, needs [];
    Ssu64xl "ssu64xl" Always, needs [];
    Sv39 "sv39" On, needs [];
    Sv48 "sv48" On, needs [Sv39];
    Sv57 "sv57" On, needs [Sv48];
    Svade "svade" Asked, needs [];
    Svadu "svadu" On, needs [];
    Svinval "svinval" Max, needs [];
    Svnapot "svnapot" Max, needs [];
    Svpbmt "svpbmt" Max, needs [];
    Svvptc "svvptc" On, needs [];

    // Instructions that several extensions have. These are no names: nothing prints or takes them.
    ZbbOrZbkb "zbb, zbkb" Any(&[Ext::Zbb, Ext::Zbkb]), needs [];
    ZbcOrZbkc "zbc, zbkc" Any(&[Ext::Zbc, Ext::Zbkc]), needs [];
    ZkndOrZkne "zknd, zkne" Any(&[Ext::Zknd, Ext::Zkne]), needs [];
    ZvknhaOrZvknhb "zvknha, zvknhb" Any(&[Ext::Zvknha, Ext::Zvknhb]), needs [];
}

impl Ext {
    /// The name as `-cpu` and the device tree have it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub(super) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.ext)
    }

    /// Whether ISA strings name it: not modes of address translation.
    pub(super) fn is_named(self) -> bool {
        !matches!(self, Self::Sv39 | Self::Sv48 | Self::Sv57) && !matches!(self.row().when, Any(_))
    }
}
