//! Who may talk to this host: the pool's secret and certificate, and root's password.

use super::config::{read, write, write_bytes};
use crate::heartbeat::Key;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use subtle::ConstantTimeEq;

/// What every member of a pool holds, handed over in pool-join.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The secret with which agents of one pool show that they belong together.
    pub secret: String,
    /// The pool's certificate; agents accept no other from each other.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Root's password, hashed with argon2id.
    pub password: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// A new pool's identity with root's password.
    pub fn create(password: &str) -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let pair = rcgen::generate_simple_self_signed(vec!["xe-pool".to_owned()])?;
        Ok(Self {
            secret,
            certificate: pair.cert.pem(),
            key: pair.signing_key.serialize_pem(),
            password: hash(password)?,
        })
    }

    /// Reads the identity of a state directory.
    pub fn load(state_dir: &Path) -> anyhow::Result<Self> {
        read(&state_dir.join("identity.json"))
    }

    /// Writes the identity, readable by root alone.
    pub fn save(&self, state_dir: &Path) -> anyhow::Result<()> {
        write(&state_dir.join("identity.json"), self)?;
        write_bytes(&state_dir.join("pool.pem"), self.certificate.as_bytes())
    }

    /// Whether this is root's password.
    pub fn accepts_password(&self, password: &str) -> bool {
        PasswordHash::new(&self.password)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// Whether this is the pool's secret.
    pub fn accepts_secret(&self, secret: &str) -> bool {
        secret.as_bytes().ct_eq(self.secret.as_bytes()).into()
    }

    /// The key of packets to and from a witness, 64 hexadecimal digits. It comes from the pool's
    /// secret and tells nothing of it: it is the same at every host and in every session, so that
    /// a witness is set up once, and who holds it can neither log in nor speak as a host.
    pub fn witness_key(&self) -> String {
        let secret: [u8; 32] = Sha256::digest(self.secret.as_bytes()).into();
        let code = Key::new(secret).code(b"key of the heartbeat witness", b"");
        code.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The certificate as it travels in TLS.
    pub fn certificate_der(&self) -> anyhow::Result<CertificateDer<'static>> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| anyhow::anyhow!("the pool's certificate is not readable: {error}"))
    }

    /// The key of the certificate.
    pub fn key_der(&self) -> anyhow::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|error| anyhow::anyhow!("the pool's key is not readable: {error}"))
    }
}

/// Hashes a password with argon2id at the least cost that OWASP's guide accepts (19 MiB, 2 passes):
/// a login must not hold up a script that makes hundreds.
fn hash(password: &str) -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let failed = |error| anyhow::anyhow!("cannot hash the password: {error}");
    let salt = SaltString::encode_b64(&bytes).map_err(failed)?;
    let params = Params::new(19 * 1024, 2, 1, None)
        .map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_and_secret_are_accepted() {
        let identity = Identity::create("open sesame").unwrap();
        assert!(identity.accepts_password("open sesame"));
        assert!(!identity.accepts_password("open sesam"));
        assert!(!identity.accepts_password(""));
        assert!(identity.accepts_secret(&identity.secret.clone()));
        assert!(!identity.accepts_secret("") && !identity.accepts_secret("00"));
        assert_ne!(identity.secret, Identity::create("x").unwrap().secret);
        assert!(!format!("{identity:?}").contains(&identity.secret));
    }

    #[test]
    fn the_witness_has_one_key_as_long_as_the_pool_has_its_secret() {
        let (identity, other) = (Identity::create("x").unwrap(), Identity::create("x").unwrap());
        let moved = Identity { password: "other".to_owned(), ..identity.clone() };
        assert_eq!(identity.witness_key(), moved.witness_key());
        assert_ne!(identity.witness_key(), other.witness_key());
        assert_ne!(identity.witness_key(), identity.secret);
        assert!(Key::from_hex(&identity.witness_key()).is_ok());
    }
}
