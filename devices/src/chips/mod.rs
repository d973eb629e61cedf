//! Chip models: UARTs, interrupt controllers, timers, flash, and the small parts of a board.
