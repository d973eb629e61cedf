//! Disk images: raw and qcow2 files behind one block interface.
