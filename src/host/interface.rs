//! What the kernel says of this machine's interfaces and addresses.

use std::mem::zeroed;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest name of an interface.
const LONGEST: usize = libc::IFNAMSIZ - 1;

/// An interface of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its hardware address; empty where it has none.
    pub mac: String,
    /// The longest packet that it takes.
    pub mtu: i64,
}

/// The interface of this name, if the kernel knows one.
pub fn find(device: &str) -> Option<Interface> {
    if device.is_empty() || device.len() > LONGEST || device.contains('\0') {
        return None;
    }
    let socket = UdpSocket::bind(("127.0.0.1", 0)).ok()?;
    // SAFETY: an `ifreq` is plain numbers, for which zeros are good values.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *place = byte.cast_signed() as libc::c_char;
    }
    let (mut hardware, mut mtu) = (request, request);
    let number = socket.as_raw_fd();
    // SAFETY: both are live `ifreq`s with a name that ends; these calls read and fill them.
    let told = unsafe {
        libc::ioctl(number, libc::SIOCGIFHWADDR as _, &raw mut hardware) == 0
            && libc::ioctl(number, libc::SIOCGIFMTU as _, &raw mut mtu) == 0
    };
    if !told {
        return None;
    }
    // SAFETY: the calls have succeeded, so these are the members that the kernel has filled.
    let (address, mtu) = unsafe { (hardware.ifr_ifru.ifru_hwaddr, mtu.ifr_ifru.ifru_mtu) };
    let ethernet = address.sa_family == libc::ARPHRD_ETHER;
    let bytes = address.sa_data.iter().take(6).map(|byte| format!("{:02x}", byte.cast_unsigned()));
    let mac = if ethernet { bytes.collect::<Vec<_>>().join(":") } else { String::new() };
    Some(Interface { mac, mtu: i64::from(mtu) })
}

/// Whether this machine has an address: a packet that it sends from there to there arrives.
///
/// That a socket can be bound is not enough: the kernel binds to broadcast addresses too, and to
/// any address where it was told not to look.
pub fn has_address(address: IpAddr) -> bool {
    let to_itself = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.connect(socket.local_addr()?)?;
        socket.send(b"xe")?;
        let mut heard = [0; 2];
        Ok(socket.recv(&mut heard)? == 2)
    };
    let several = address.is_unspecified() || address.is_multicast();
    !several && to_itself().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_found_by_its_name_alone() {
        let loopback = find("lo").unwrap();
        assert!(loopback.mac.is_empty() && loopback.mtu > 1000, "{loopback:?}");
        for absent in ["", "lo0-none", "lo\0", "a name far too long", "../lo"] {
            assert_eq!(find(absent), None, "{absent:?}");
        }
    }

    #[test]
    fn only_an_address_of_this_machine_is_had() {
        for own in ["127.0.0.1", "127.31.7.2"] {
            assert!(has_address(own.parse().unwrap()), "{own}");
        }
        let foreign = ["192.0.2.1", "0.0.0.0", "255.255.255.255", "127.255.255.255", "224.0.0.1"];
        for foreign in foreign.into_iter().chain(["::", "ff02::1", "2001:db8::1", "fe80::1"]) {
            assert!(!has_address(foreign.parse().unwrap()), "{foreign}");
        }
    }
}
