//! What `tcg_decodegen` makes of the tables in `isa/`.

#![allow(clippy::all, reason = "generated")]

use crate::features::Ext;
use crate::print::show;
use crate::sem::{self, Cx};
use tcg_core::sem::{Flow, Sem};

include!(concat!(env!("OUT_DIR"), "/isa.rs"));
