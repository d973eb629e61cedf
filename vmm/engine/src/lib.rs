//! A running machine: vCPU threads, pause and kick, the accelerator seam.
