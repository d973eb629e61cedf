//! What tests of the whole share: the bodies of the fuzz targets.

pub mod fuzz;
