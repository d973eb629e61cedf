//! Boards as data.
