//! Chip models: UARTs, interrupt controllers, timers, flash, and the small parts of a board.

pub mod aclint;
pub mod acpi_ged;
pub mod fw_cfg;
pub mod gic;
pub mod goldfish_rtc;
pub mod gpio_pwr;
pub mod i6300esb;
pub mod ns16550a;
pub mod pflash_cfi01;
pub mod pl011;
pub mod pl031;
pub mod pl061;
pub mod plic;
mod primecell;
pub mod pvpanic;
pub mod registers;
mod serial_port;
pub mod sifive_test;

/// Reports use of something about `device` that is not modelled, for `-d unimp`.
fn unimplemented(device: &str, what: std::fmt::Arguments<'_>) {
    tracing::debug!(target: "unimp", "{device}: {what}");
}

/// Reports a guest's mistake about `device`, for `-d guest_errors`.
fn guest_error(device: &str, what: std::fmt::Arguments<'_>) {
    tracing::debug!(target: "guest_errors", "{device}: {what}");
}
