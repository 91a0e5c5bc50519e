//! The TCP listener for clients that cannot use a Unix socket.

use std::net::{SocketAddr, TcpListener};

use super::EndpointError;

/// Listens on a TCP address; accepting does not block.
///
/// # Errors
/// Where the address is taken or none of this machine's.
pub fn listen_tcp(address: SocketAddr) -> Result<TcpListener, EndpointError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| EndpointError::Tcp { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_named() {
        let first = listen_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen_tcp(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--tcp"), "{error}");
    }
}
