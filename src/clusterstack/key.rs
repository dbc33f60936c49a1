//! The heartbeat's key from what every host of the pool has: the pool's token and the
//! generation of the HA session.

use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::exit::{Exit, Failure};
use crate::heartbeat::Key;

/// What the derived bytes are for; another label gives another key.
const LABEL: &[u8] = b"xe cluster stack: heartbeat key, version 1\0";
/// Fewer bytes are no secret.
const SHORTEST: usize = 16;

/// A session's key as the daemon takes it: 64 hexadecimal digits, wiped after use.
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    /// The digits.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The key itself.
    pub fn key(&self) -> Result<Key, Failure> {
        Key::from_hex(&self.0).map_err(|error| Failure::new(Exit::Environment, error))
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// Reads the token and derives the key. An absent or empty token is refused: without it nobody
/// could tell the pool's hosts from strangers.
pub fn of_pool(token: &Path, generation: Uuid) -> Result<KeyText, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let sentence = format!("the pool's token {}: {why}", token.display());
        Failure::new(Exit::Environment, sentence)
    };
    let text = Zeroizing::new(std::fs::read(token).map_err(|error| failed(&error))?);
    let secret = text.trim_ascii();
    if secret.len() < SHORTEST {
        return Err(failed(&format!("fewer than {SHORTEST} bytes are no secret")));
    }
    Ok(derive(secret, generation))
}

/// HMAC-SHA256 under the token, over the label and the generation.
fn derive(token: &[u8], generation: Uuid) -> KeyText {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(token).expect("any key length");
    mac.update(LABEL);
    mac.update(generation.as_bytes());
    let mut bytes = mac.finalize().into_bytes();
    let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.as_mut_slice().zeroize();
    KeyText(Zeroizing::new(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_same_on_every_host_and_no_other_sessions() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let key = derive(b"0123456789abcdef", one);
        assert_eq!(key.digits(), derive(b"0123456789abcdef", one).digits());
        assert_ne!(key.digits(), derive(b"0123456789abcdef", two).digits());
        assert_ne!(key.digits(), derive(b"0123456789abcdeF", one).digits());
        assert!(key.key().is_ok() && format!("{key:?}") == "KeyText(…)");
    }

    #[test]
    fn the_derivation_never_changes() {
        // Hosts with different versions of this program must agree on the key.
        let digits = derive(b"0123456789abcdef", Uuid::from_u128(1));
        assert_eq!(
            digits.digits(),
            "3dcf9c8d943f34c78a9ce7943be180ea7cbf38856c83f3d420dc51e2b8e31c2f"
        );
    }

    #[test]
    fn blanks_around_the_token_do_not_matter_and_none_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = || of_pool(file.path(), Uuid::from_u128(1));
        assert_eq!(read().unwrap_err().exit, Exit::Environment);
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        let expected = derive(b"0123456789abcdef", Uuid::from_u128(1));
        assert_eq!(read().unwrap().digits(), expected.digits());
        let absent = of_pool(Path::new("/nonexistent/ptoken"), Uuid::from_u128(1)).unwrap_err();
        assert!(absent.sentence.contains("/nonexistent/ptoken"), "{absent}");
    }
}
