//! Fetches and builds guest images from distribution packages.
