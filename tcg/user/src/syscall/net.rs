//! Sockets.

use super::names::{MSG, PROTOCOL, SOCKET_DOMAIN, SOCKET_TYPE};
use super::{Kind, Row, host};
use crate::sys;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(198, "socket", &[Enum(SOCKET_DOMAIN), Parts(&SOCKET_TYPE), Enum(PROTOCOL)], SYS_socket),
    host(
        199,
        "socketpair",
        &[Enum(SOCKET_DOMAIN), Parts(&SOCKET_TYPE), Enum(PROTOCOL), Out(8)],
        SYS_socketpair,
    ),
    host(200, "bind", &[Fd, Pointer, Int], SYS_bind),
    host(201, "listen", &[Fd, Int], SYS_listen),
    host(202, "accept", &[Fd, Pointer, Pointer], SYS_accept).interrupted_if(has_receive_timeout),
    host(203, "connect", &[Fd, Pointer, Int], SYS_connect).interrupted_if(has_send_timeout),
    host(204, "getsockname", &[Fd, Pointer, Pointer], SYS_getsockname),
    host(205, "getpeername", &[Fd, Pointer, Pointer], SYS_getpeername),
    host(
        206,
        "sendto",
        &[Fd, Buffer(2), Size, Flags(MSG), PointerIf(|args| args[5] as i32 != 0), Int],
        SYS_sendto,
    )
    .interrupted_if(has_send_timeout),
    host(207, "recvfrom", &[Fd, OutBuffer(2), Size, Flags(MSG), Pointer, Pointer], SYS_recvfrom)
        .interrupted_if(has_receive_timeout),
    host(208, "setsockopt", &[Fd, Int, Int, Pointer, Int], SYS_setsockopt),
    host(209, "getsockopt", &[Fd, Int, Int, Pointer, Pointer], SYS_getsockopt),
    host(210, "shutdown", &[Fd, Int], SYS_shutdown),
    host(211, "sendmsg", &[Fd, Pointer, Flags(MSG)], SYS_sendmsg).interrupted_if(has_send_timeout),
    host(212, "recvmsg", &[Fd, Pointer, Flags(MSG)], SYS_recvmsg).interrupted_if(has_receive_timeout),
    host(242, "accept4", &[Fd, Pointer, Pointer, Flags(SOCKET_TYPE.flags)], SYS_accept4)
        .interrupted_if(has_receive_timeout),
    host(243, "recvmmsg", &[Fd, Pointer, Int, Flags(MSG), Timespec], SYS_recvmmsg)
        .interrupted_if(has_receive_timeout),
    host(269, "sendmmsg", &[Fd, Pointer, Int, Flags(MSG)], SYS_sendmmsg).interrupted_if(has_send_timeout),
];

/// Whether argument 0 is a socket that waits for a limited time for what comes.
pub fn has_receive_timeout(args: &[u64; 6]) -> bool {
    has_timeout(args[0], SO_RCVTIMEO)
}

/// The same for what goes.
pub fn has_send_timeout(args: &[u64; 6]) -> bool {
    has_timeout(args[0], SO_SNDTIMEO)
}

fn has_timeout(fd: u64, option: i32) -> bool {
    let mut time = timeval { tv_sec: 0, tv_usec: 0 };
    let mut len = size_of::<timeval>() as socklen_t;
    let args = [fd, SOL_SOCKET as u64, option as u64, &raw mut time as u64, &raw mut len as u64, 0];
    // SAFETY: the kernel writes the local variables. It answers with an error for what is no socket.
    unsafe { sys::call(SYS_getsockopt, args) == 0 && (time.tv_sec, time.tv_usec) != (0, 0) }
}
