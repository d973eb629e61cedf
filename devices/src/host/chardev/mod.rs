//! Character back ends: stdio, files, ptys, sockets, and the multiplexer with its escape key.
