//! The client against a TLS server on loopback: who is trusted, and that nobody else hears the key.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use whsec::provider::answer::{Outcome, rotated};
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::{Catalog, request};
use whsec::secret::Secret;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name)
}

/// Answers one call; sends what it heard in the clear after TLS, which is nothing where the handshake failed.
fn serve() -> (SocketAddr, Receiver<String>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(&fixture("localhost.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&fixture("localhost.key")).expect("a key");
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a configuration"));
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
    let outcome = client.call(&endpoint, &request::rotate(&endpoint, None), &Secret::new("the-api-key"));
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
