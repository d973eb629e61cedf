//! Sockets.

use super::{Kind, Row, host};
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(198, "socket", &[Int, Hex, Int], SYS_socket),
    host(199, "socketpair", &[Int, Hex, Int, Out(8)], SYS_socketpair),
    host(200, "bind", &[Fd, Pointer, Int], SYS_bind),
    host(201, "listen", &[Fd, Int], SYS_listen),
    host(202, "accept", &[Fd, Pointer, Pointer], SYS_accept),
    host(203, "connect", &[Fd, Pointer, Int], SYS_connect),
    host(204, "getsockname", &[Fd, Pointer, Pointer], SYS_getsockname),
    host(205, "getpeername", &[Fd, Pointer, Pointer], SYS_getpeername),
    host(206, "sendto", &[Fd, Buffer(2), Size, Hex, PointerIf(|args| args[5] as i32 != 0), Int], SYS_sendto),
    host(207, "recvfrom", &[Fd, OutBuffer(2), Size, Hex, Pointer, Pointer], SYS_recvfrom),
    host(208, "setsockopt", &[Fd, Int, Int, Pointer, Int], SYS_setsockopt),
    host(209, "getsockopt", &[Fd, Int, Int, Pointer, Pointer], SYS_getsockopt),
    host(210, "shutdown", &[Fd, Int], SYS_shutdown),
    host(211, "sendmsg", &[Fd, Pointer, Hex], SYS_sendmsg),
    host(212, "recvmsg", &[Fd, Pointer, Hex], SYS_recvmsg),
    host(242, "accept4", &[Fd, Pointer, Pointer, Hex], SYS_accept4),
    host(243, "recvmmsg", &[Fd, Pointer, Int, Hex, Pointer], SYS_recvmmsg),
    host(269, "sendmmsg", &[Fd, Pointer, Int, Hex], SYS_sendmmsg),
];
