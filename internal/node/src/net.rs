//! Binding listeners.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::config::ListenAddr;

/// Connections that the kernel holds until we accept them: a crowd that comes at once is not refused.
const BACKLOG: i32 = 4096;

/// Binds `addr`. All interfaces means IPv6 and IPv4 on one socket, or IPv4 alone where the system has no IPv6.
///
/// # Errors
/// The address does not resolve, is taken, or is not ours.
pub(crate) async fn bind(addr: &ListenAddr) -> io::Result<TcpListener> {
    match addr {
        ListenAddr::Any(port) => listen(SocketAddr::from(([0u16; 8], *port)))
            .or_else(|_| listen(SocketAddr::from(([0u8; 4], *port)))),
        ListenAddr::Host(host, port) => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for candidate in tokio::net::lookup_host((host.as_str(), *port)).await? {
                match listen(candidate) {
                    Ok(listener) => return Ok(listener),
                    Err(e) => last = e,
                }
            }
            Err(last)
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn all_interfaces_take_both_families() {
        let listener = bind(&ListenAddr::Any(0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", addr.port())).await.is_ok());
        if addr.is_ipv6() {
            assert!(TcpStream::connect(("::1", addr.port())).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let again = ListenAddr::Host("127.0.0.1".into(), first.local_addr().unwrap().port());
        assert_eq!(bind(&again).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
