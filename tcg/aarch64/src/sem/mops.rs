//! Memory copy and set: FEAT_MOPS, C6.2.84 and C6.2.319. The work is a helper's ([`crate::mops`]).

use super::{Cx, fall};
use crate::helpers;
use crate::isa::{Mops, MopsSet};
use crate::mops::{Kind, Stage, pack};
use tcg_core::sem::{Flow, Sem};

fn copy<S: Sem>(s: &mut S, a: Mops, kind: Kind, stage: Stage) -> Flow<S> {
    let what = s.k(pack(kind, stage, [a.rd, a.rs, a.rn]));
    s.call(helpers::MEMORY_COPY_SET, &[what])?;
    fall::<S>()
}

fn set<S: Sem>(s: &mut S, a: MopsSet, stage: Stage) -> Flow<S> {
    let what = s.k(pack(Kind::Set, stage, [a.rd, a.rs, a.rn]));
    s.call(helpers::MEMORY_COPY_SET, &[what])?;
    fall::<S>()
}

macro_rules! copies {
    ($($(#[$doc:meta])* $name:ident = $kind:ident $stage:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: Mops) -> Flow<S> {
            copy(s, a, Kind::$kind, Stage::$stage)
        }
    )* };
}

copies! {
    /// Forward copy, prologue.
    cpyfp = Forward Prologue;
    /// Forward copy, main.
    cpyfm = Forward Main;
    /// Forward copy, epilogue.
    cpyfe = Forward Epilogue;
    /// Copy, prologue.
    cpyp = Copy Prologue;
    /// Copy, main.
    cpym = Copy Main;
    /// Copy, epilogue.
    cpye = Copy Epilogue;
}

/// Set, prologue.
pub fn setp<S: Sem>(s: &mut S, _: &Cx, a: MopsSet) -> Flow<S> {
    set(s, a, Stage::Prologue)
}

/// Set, main.
pub fn setm<S: Sem>(s: &mut S, _: &Cx, a: MopsSet) -> Flow<S> {
    set(s, a, Stage::Main)
}

/// Set, epilogue.
pub fn sete<S: Sem>(s: &mut S, _: &Cx, a: MopsSet) -> Flow<S> {
    set(s, a, Stage::Epilogue)
}
