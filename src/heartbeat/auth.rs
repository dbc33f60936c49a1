//! The pool's key and the two checks of everything that comes from outside: CRC32C finds
//! accidents, the keyed code finds strangers.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

/// Bytes of a keyed code.
pub const CODE_LEN: usize = 32;

/// A key: all hosts of one HA session share one that is made at enable; the pool and its witness
/// share another, which stays.
#[derive(Clone)]
pub struct Key([u8; 32]);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a heartbeat key is 64 hexadecimal digits")]
pub struct BadKey;

impl Key {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Key(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, BadKey> {
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return Err(BadKey);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(BadKey);
            let value = digit(pair[0])? * 16 + digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| BadKey)?;
        }
        Ok(Key(bytes))
    }

    /// The keyed code of `bytes` in the place named by `domain` (so that a block or packet
    /// copied to another place is refused there).
    pub fn code(&self, domain: &[u8], bytes: &[u8]) -> [u8; CODE_LEN] {
        self.mac(domain, bytes).finalize().into_bytes().into()
    }

    /// Whether `code` is the code of `bytes` in that place; takes the same time either way.
    pub fn accepts(&self, domain: &[u8], bytes: &[u8], code: &[u8]) -> bool {
        self.mac(domain, bytes).verify_slice(code).is_ok()
    }

    fn mac(&self, domain: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("any key length");
        mac.update(&(domain.len() as u64).to_le_bytes());
        mac.update(domain);
        mac.update(bytes);
        mac
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_hex_and_never_printed() {
        let key = Key::from_hex(&"0a".repeat(32)).unwrap();
        assert_eq!(key.0, [10; 32]);
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert!(Key::from_hex("0a").is_err());
        assert!(Key::from_hex(&"0x".repeat(32)).is_err());
        assert!(Key::from_hex(&"é".repeat(32)).is_err());
    }

    #[test]
    fn a_code_holds_in_its_own_place_under_its_own_key_only() {
        let key = Key::new([1; 32]);
        let code = key.code(b"here", b"bytes");
        assert!(key.accepts(b"here", b"bytes", &code));
        assert!(!key.accepts(b"there", b"bytes", &code));
        assert!(!key.accepts(b"here", b"other", &code));
        assert!(!Key::new([2; 32]).accepts(b"here", b"bytes", &code));
    }
}
