//! Boot protocols, kernel loaders, the built-in SBI, finding firmware files.
