//! Calls that wait for files.

use super::convert::{read_epoll_event, write_epoll_events};
use super::{Kind, Row, host, own};
use crate::memory::Result;
use crate::signal::{FAULTS, allowed_mask};
use crate::thread::Thread;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(19, "eventfd2", &[Int, Hex], SYS_eventfd2),
    host(20, "epoll_create1", &[Hex], SYS_epoll_create1),
    own(21, "epoll_ctl", &[Fd, Int, Fd, PointerIf(|args| args[1] as i32 != EPOLL_CTL_DEL)], epoll_ctl_call),
    own(22, "epoll_pwait", &[Fd, Pointer, Int, Int, SignalSet, Size], epoll_pwait_call).interrupted(),
    own(72, "pselect6", &[Int, Pointer, Pointer, Pointer, Timespec, Pointer], pselect6_call).interrupted(),
    own(73, "ppoll", &[Pointer, Size, Timespec, SignalSet, Size], ppoll_call).interrupted(),
    host(74, "signalfd4", &[Fd, SignalSet, Size, Hex], SYS_signalfd4),
    host(85, "timerfd_create", &[Int, Hex], SYS_timerfd_create),
    host(86, "timerfd_settime", &[Fd, Hex, Pointer, Pointer], SYS_timerfd_settime),
    host(87, "timerfd_gettime", &[Fd, Out(32)], SYS_timerfd_gettime),
    own(441, "epoll_pwait2", &[Fd, Pointer, Int, Timespec, SignalSet, Size], epoll_pwait2_call).interrupted(),
    host(0, "io_setup", &[Int, Pointer], SYS_io_setup),
    host(1, "io_destroy", &[Hex], SYS_io_destroy),
    host(2, "io_submit", &[Hex, Long, Pointer], SYS_io_submit),
    host(3, "io_cancel", &[Hex, Pointer, Pointer], SYS_io_cancel),
    host(4, "io_getevents", &[Hex, Long, Long, Pointer, Timespec], SYS_io_getevents).interrupted(),
];

impl Thread {
    /// A mask that the guest gives for the time of a call, as the host gets it. Notes it for a handler that is entered.
    pub fn suspend_mask(&mut self, addr: u64, size: u64) -> Result<Option<u64>> {
        if addr == 0 {
            return Ok(None);
        }
        if size != 8 {
            return Err(EINVAL);
        }
        let mask = allowed_mask(self.process.memory.read(addr)?);
        self.suspended = Some(mask);
        Ok(Some(mask & !FAULTS))
    }
}

/// Address of a mask in a local variable, or 0.
fn pointer(mask: &Option<u64>) -> u64 {
    mask.as_ref().map_or(0, |mask| std::ptr::from_ref(mask) as u64)
}

fn epoll_ctl_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    let event = match args[3] {
        // What is removed needs no event.
        _ if args[1] as i32 == EPOLL_CTL_DEL => None,
        0 => None,
        addr => Some(read_epoll_event(&thread.process.memory, addr)?),
    };
    args[3] = event.as_ref().map_or(0, |event| std::ptr::from_ref(event) as u64);
    thread.host_call(SYS_epoll_ctl, args)
}

/// Most events that are fetched at once; more come with the next call.
const EVENTS: usize = 1024;

fn wait_for_events(thread: &mut Thread, nr: i64, mut args: [u64; 6]) -> Result<u64> {
    let count = args[2] as i32;
    if count <= 0 {
        return Err(EINVAL);
    }
    let mut events = vec![epoll_event { events: 0, u64: 0 }; (count as usize).min(EVENTS)];
    let mask = thread.suspend_mask(args[4], args[5])?;
    let addr = std::mem::replace(&mut args[1], events.as_mut_ptr() as u64);
    args[2] = events.len() as u64;
    args[4] = pointer(&mask);
    let got = thread.host_call(nr, args)?;
    write_epoll_events(&thread.process.memory, addr, &events[..got as usize])?;
    Ok(got)
}

fn epoll_pwait_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    wait_for_events(thread, SYS_epoll_pwait, args)
}

fn epoll_pwait2_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    wait_for_events(thread, SYS_epoll_pwait2, args)
}

fn ppoll_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    let mask = thread.suspend_mask(args[3], args[4])?;
    args[3] = pointer(&mask);
    thread.host_call(SYS_ppoll, args)
}

fn pselect6_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    // The last argument leads to a mask and its size.
    let [addr, size] = match args[5] {
        0 => [0, 0],
        pair => thread.process.memory.read::<[u64; 2]>(pair)?,
    };
    let mask = thread.suspend_mask(addr, size)?;
    let pair = [pointer(&mask), 8u64];
    args[5] = pair.as_ptr() as u64;
    thread.host_call(SYS_pselect6, args)
}
