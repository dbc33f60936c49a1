//! The sockets of the agent: XML-RPC over unix socket, http and https.

use super::Agent;
use super::dispatch::dispatch;
use super::session::Caller;
use crate::host::faults::Faults;
use crate::xenapi::xmlrpc;
use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The largest request taken, in bytes.
const MAX_REQUEST: usize = 64 << 20;
/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
struct Peer(Option<Caller>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let own = rustix::process::getuid().as_raw();
        let trusted = |uid: u32| uid == 0 || uid == own;
        match stream.io().peer_cred() {
            Ok(peer) if trusted(peer.uid()) => Self(Some(Caller::Local)),
            _ => Self(None),
        }
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self(Some(Caller::Network))
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TlsListener>) -> Self {
        Self(Some(Caller::Network))
    }
}

/// Accepts TLS connections; handshakes run beside each other.
struct TlsListener {
    address: SocketAddr,
    ready: tokio::sync::mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (send, ready) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (acceptor, send) = (acceptor.clone(), send.clone());
                tokio::spawn(async move {
                    let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
                    if let Ok(Ok(stream)) = handshake.await {
                        // The server has stopped when nobody takes it.
                        let _ = send.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { address, ready })
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[derive(Clone)]
struct Served {
    agent: Arc<Agent>,
    faults: Faults,
}

/// Serves the agent until the process ends.
pub async fn serve(agent: Arc<Agent>, faults: Faults) -> anyhow::Result<()> {
    let config = agent.config.clone();
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Served { agent: Arc::clone(&agent), faults });
    let app = router.into_make_service_with_connect_info::<Peer>();

    let socket = &config.socket;
    if let Some(parent) = socket.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let _ = std::fs::remove_file(socket);
    let unix = UnixListener::bind(socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(axum::serve(unix, app.clone()).into_future());
    if let Some(port) = config.http_port {
        let plain = listen(SocketAddr::new(config.address, port)).await?;
        servers.spawn(axum::serve(plain, app.clone()).into_future());
    }
    let listener = listen(SocketAddr::new(config.address, config.https_port)).await?;
    let tls = TlsListener::new(listener, acceptor(&agent)?)?;
    servers.spawn(axum::serve(tls, app).into_future());
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    // An agent that restarts in place finds its own port closing for a moment.
    for _ in 0..50 {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other.with_context(|| format!("cannot listen on {address}")),
        }
    }
    anyhow::bail!("cannot listen on {address}: the port is in use")
}

fn acceptor(agent: &Agent) -> anyhow::Result<TlsAcceptor> {
    let identity = agent.identity.as_ref().context("a dump is not served over the network")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate_der()?], identity.key_der()?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn answer(
    State(served): State<Served>,
    ConnectInfo(Peer(caller)): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let Some(caller) = caller else {
        return (StatusCode::FORBIDDEN, "only root may use this socket\n").into_response();
    };
    while caller == Caller::Network && served.faults.net_cut() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let agent = served.agent;
    let work = tokio::task::spawn_blocking(move || match method {
        Method::POST => rpc(&agent, caller, &body),
        Method::GET | Method::PUT => super::files::transfer(&agent, caller, &method, &uri, &body),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    });
    work.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn rpc(agent: &Arc<Agent>, caller: Caller, body: &[u8]) -> Response {
    match xmlrpc::decode_call(body) {
        Ok((method, params)) => {
            let answer = dispatch(agent, caller, &method, &params);
            ([("content-type", "text/xml")], xmlrpc::encode_response(&answer)).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
