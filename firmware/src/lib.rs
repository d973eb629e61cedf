//! Boot protocols, kernel loaders, the built-in SBI and PSCI, semihosting, and finding firmware files.
//!
//! Knows memory and formats; knows no board, no device and no accelerator.

pub mod content;
pub mod find;
pub mod image;
pub mod place;
pub mod psci;
pub mod reset;
pub mod sbi;
pub mod semihosting;
pub mod stub;
