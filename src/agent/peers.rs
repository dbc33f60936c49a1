//! Calls to the other agents of the pool: TLS with the pool's own certificate and nothing else.

use super::identity::Identity;
use crate::host::faults::Faults;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value, xmlrpc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;

/// Calls other agents.
pub struct Peers {
    client: Option<reqwest::blocking::Client>,
    secret: String,
    port: u16,
    faults: Faults,
}

impl Peers {
    /// Calls with the pool's identity to this port.
    pub fn new(identity: &Identity, port: u16, faults: Faults) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned =
            Pinned { certificate: identity.certificate_der()?, provider: provider.clone() };
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        let client = reqwest::blocking::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(120))
            .no_proxy()
            .build()?;
        Ok(Self { client: Some(client), secret: identity.secret.clone(), port, faults })
    }

    /// Reaches nobody: the agent of a dump.
    pub fn none() -> Self {
        Self { client: None, secret: String::new(), port: 0, faults: Faults::default() }
    }

    /// A call among agents: `internal.<name>` with the pool's secret first.
    pub fn call(&self, address: &str, name: &str, params: &[Value]) -> Answer {
        let mut all = vec![Value::from(self.secret.as_str())];
        all.extend_from_slice(params);
        self.raw(address, &format!("internal.{name}"), &all, Duration::from_secs(120))
    }

    /// The same without parameters, to a host that may well be off.
    pub fn brief(&self, address: &str, name: &str) -> Answer {
        let secret = [Value::from(self.secret.as_str())];
        self.raw(address, &format!("internal.{name}"), &secret, Duration::from_secs(3))
    }

    /// A call as it stands, such as one that a local user made here.
    pub fn raw(&self, address: &str, method: &str, params: &[Value], limit: Duration) -> Answer {
        let offline = |why: String| {
            tracing::debug!(%address, %method, "no answer: {why}");
            Failure::new("HOST_OFFLINE", [address.to_owned()])
        };
        if self.faults.net_cut() {
            std::thread::sleep(Duration::from_millis(500));
            return Err(offline("the network is cut".to_owned()));
        }
        let Some(client) = &self.client else {
            return Err(offline("this agent serves a dump".to_owned()));
        };
        let host = match address.parse() {
            Ok(std::net::IpAddr::V6(v6)) => format!("[{v6}]"),
            _ => address.to_owned(),
        };
        let response = client
            .post(format!("https://{host}:{}/", self.port))
            .header("content-type", "text/xml")
            .timeout(limit)
            .body(xmlrpc::encode_call(method, params))
            .send()
            .and_then(|response| response.bytes())
            .map_err(|error| offline(format!("{error:?}")))?;
        xmlrpc::decode_response(&response).map_err(|error| offline(error.to_string()))?
    }
}

/// Accepts the pool's certificate, byte for byte, and no other.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
