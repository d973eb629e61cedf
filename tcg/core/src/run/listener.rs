//! Telling profilers of translations.

use crate::observe::Image;
use std::fmt;
use std::sync::Arc;

/// A translation that was made.
pub struct Made<'a> {
    /// Guest address.
    pub pc: u64,
    /// Host address of its code.
    pub at: u64,
    /// Its code.
    pub code: &'a [u8],
    /// Guest instructions in it.
    pub insns: u64,
    /// It is the region of a hot loop.
    pub hot: bool,
}

/// Hears of translations, for profilers. Called with the cache locked.
pub trait CodeListener: Send + Sync {
    /// A program that the guest was started with is in memory.
    fn image(&self, image: &Image);
    /// A translation was made.
    fn made(&self, made: &Made<'_>);
}

/// A [`CodeListener`], or none.
#[derive(Clone, Default)]
pub struct Listener(pub Option<Arc<dyn CodeListener>>);

impl fmt::Debug for Listener {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}
