#![no_main]
//! See `whole_program::fuzz::replay_log`.

use whole_program::fuzz;

libfuzzer_sys::fuzz_target!(init: fuzz::overlook_caught_panics(), |data: &[u8]| fuzz::replay_log(data));
