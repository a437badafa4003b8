//! The client against a TLS server on loopback: who is trusted, and that nobody else hears the key.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use whsec::provider::answer::{Outcome, rotated};
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::{Catalog, request};
use whsec::secret::Secret;

use crate::sandbox::Sandbox;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name)
}

fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a configuration"))
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("a certificate");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A proxy that answers for any host itself, with a certificate of its own authority; sends what it heard as [`serve`] does.
fn deceive(authority: &CertifiedIssuer<'static, KeyPair>, host: &str) -> (SocketAddr, Receiver<String>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a certificate");
    let chain = vec![params.signed_by(&key, authority).expect("a certificate").der().clone()];
    let config = server(chain, PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("CONNECT and its headers");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"CONNECT "), "{}", String::from_utf8_lossy(&head));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("an answer");
        let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a session"), stream);
        let text = exchange(&mut stream);
        sender.send(text).expect("a listener for what was heard");
    });
    (address, heard)
}

/// Answers one call; sends what it heard in the clear after TLS, which is nothing where the handshake failed.
fn serve() -> (SocketAddr, Receiver<String>) {
    let chain = vec![CertificateDer::from_pem_slice(&fixture("localhost.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&fixture("localhost.key")).expect("a key");
    let config = server(chain, key);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a session"), stream);
        let text = exchange(&mut stream);
        sender.send(text).expect("a listener for what was heard");
    });
    (address, heard)
}

fn exchange(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> String {
    let mut text = Vec::new();
    let mut bytes = [0_u8; 4096];
    while !text.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 => text.extend_from_slice(&bytes[..count]),
            _ => return String::from_utf8_lossy(&text).into_owned(),
        }
    }
    let body = b"{\"secret\":\"whsec_over_tls\"}";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).expect("an answer");
    stream.conn.send_close_notify();
    stream.flush().expect("an answer");
    String::from_utf8_lossy(&text).into_owned()
}

fn call(ca: Option<Vec<u8>>, host: &str) -> (Outcome, String) {
    let (address, heard) = serve();
    let provider = Catalog::builtin().get("verifa").expect("verifa");
    let base_url = format!("https://{host}:{}", address.port());
    let ids = [("endpoint_id".to_owned(), "wh_1".to_owned())];
    let endpoint = provider.endpoint(Some(&base_url), &ids, None, &BTreeMap::new()).expect("an endpoint");
    let client = Client::new(&ClientOptions { timeout: Duration::from_secs(5), ca }).expect("a client");
    let outcome =
        client.call(&endpoint, &request::rotate(&endpoint, None).expect("a call"), &Secret::new("the-api-key"));
    if let Outcome::Success(reply) = &outcome {
        assert_eq!(rotated(&endpoint, reply).expect("a secret").secret.expose(), "whsec_over_tls");
    }
    (outcome, heard.recv_timeout(Duration::from_secs(5)).expect("what was heard"))
}

#[test]
fn an_extra_authority_is_trusted() {
    let (outcome, heard) = call(Some(fixture("ca.pem")), "localhost");
    assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
    assert!(heard.contains("the-api-key"));
}

#[test]
fn an_unknown_authority_hears_nothing() {
    let (outcome, heard) = call(None, "localhost");
    assert!(matches!(&outcome, Outcome::NotSent { why } if why.contains("not trusted")), "{outcome:?}");
    assert_eq!(heard, "");
}

#[test]
fn a_certificate_for_another_name_hears_nothing() {
    let (outcome, heard) = call(Some(fixture("ca.pem")), "127.0.0.1");
    assert!(matches!(&outcome, Outcome::NotSent { why } if why.contains("not trusted")), "{outcome:?}");
    assert_eq!(heard, "");
}

#[test]
fn b11_beside_an_authority_of_the_users_own_the_environments_is_not_believed() {
    let (own, theirs) = (authority(), authority());
    for (variable, name) in [("SSL_CERT_FILE", "theirs.pem"), ("SSL_CERT_DIR", "")] {
        // The last is the proof that whoever sets both variables would hear the key: the user's own file names their authority.
        for (trusted, hears) in [(own.pem(), false), (theirs.pem(), true)] {
            let (proxy, heard) = deceive(&theirs, "api.layers.example");
            let sandbox = Sandbox::new("layers");
            let folder = sandbox.path("theirs");
            std::fs::create_dir(&folder).unwrap();
            for file in ["theirs.pem", "0123abcd.0"] {
                std::fs::write(folder.join(file), theirs.pem()).unwrap();
            }
            std::fs::write(sandbox.path("own.pem"), trusted).unwrap();
            sandbox.config(&format!("ca = \"{}\"\n{}", sandbox.path("own.pem").display(), sandbox.config_text()));
            let mut command = sandbox.command(&["inspect", "layers/x", "--base-url", "https://api.layers.example"]);
            command.env("LAYERS_API_KEY", sandbox.api_key.expose());
            command.env(variable, folder.join(name)).env("HTTPS_PROXY", format!("http://{proxy}"));
            let run = sandbox.watch(command.output().unwrap());
            let heard = heard.recv_timeout(Duration::from_secs(10)).expect("what was heard");
            assert_eq!(heard.contains(sandbox.api_key.expose()), hears, "{variable}: {}", run.stderr);
            if !hears {
                assert_eq!(heard, "", "{variable}");
                run.exits(13).says("the server's certificate is not trusted");
            }
        }
    }
}
