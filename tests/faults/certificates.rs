//! Promise 15, its second half: a server with a certificate that proves nothing hears no byte of a request.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::ensure;
use crate::sandbox::Sandbox;
use crate::scene::ALL;
use crate::server::{pass_on, read_request};
use crate::tally::{Case, sweep};

/// A certificate, and the authority that the target is told to trust.
struct Papers {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    trusted: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Good,
    SelfSigned,
    WrongName,
    Expired,
    NotYet,
    UnknownAuthority,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn papers(kind: Kind) -> Papers {
    let ours = authority("ours");
    let other = authority("ours");
    let name = if kind == Kind::WrongName { "api.example.com" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match kind {
        Kind::Expired => {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        Kind::NotYet => {
            params.not_before = date_time_ymd(2090, 1, 1);
            params.not_after = date_time_ymd(2091, 1, 1);
        }
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match kind {
        Kind::SelfSigned => params.self_signed(&key).unwrap(),
        Kind::UnknownAuthority => params.signed_by(&key, &other).unwrap(),
        _ => params.signed_by(&key, &ours).unwrap(),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Papers { chain: vec![certificate.der().clone()], key, trusted: ours.pem() }
}

/// Passes calls on to the backend over TLS, and counts the bytes that it could read.
fn serve(papers: &Papers, backend: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(papers.chain.clone(), papers.key.clone_key()).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let Ok(request) = read_request(&mut stream) else { continue };
            count.fetch_add(request.len(), Ordering::SeqCst);
            let answer = pass_on(backend, &request).unwrap_or_default();
            let _ = stream.write_all(&answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, heard)
}

fn drive(provider: &str, kind: Kind) -> Result<(), String> {
    let sandbox = Sandbox::new(provider);
    let own = sandbox.stand_in.base_url();
    let backend: SocketAddr = own.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    let papers = papers(kind);
    let (address, heard) = serve(&papers, backend);
    std::fs::write(sandbox.path("ca.pem"), &papers.trusted).unwrap();
    let config =
        sandbox.config_text().replace(&format!("http://{backend}"), &format!("https://localhost:{}", address.port()));
    sandbox.config(&config.replace("api_key =", &format!("ca = \"{}\"\napi_key =", sandbox.path("ca.pem").display())));
    let id = sandbox.id();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--timeout", "5s"]);
    if kind == Kind::Good {
        ensure!(run.code == 0 && sandbox.rotations() == 1, "exit {}:\n{}", run.code, run.stderr);
        return Ok(());
    }
    ensure!(run.code == 13, "exit {} in place of 13:\n{}", run.code, run.stderr);
    ensure!(run.stderr.contains("certificate is not trusted"), "it does not say why:\n{}", run.stderr);
    ensure!(heard.load(Ordering::SeqCst) == 0, "{} bytes were heard", heard.load(Ordering::SeqCst));
    ensure!(sandbox.requests() == 0, "a request got through");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_bad_certificate_hears_nothing() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ALL {
        for kind in [Kind::Good, Kind::SelfSigned, Kind::WrongName, Kind::Expired, Kind::NotYet, Kind::UnknownAuthority]
        {
            cases.push((format!("{provider}, {kind:?}"), Box::new(move || drive(provider, kind))));
        }
    }
    sweep(15, "bad certificates", cases, || "0 bytes heard, 0 successes; with a good one all five rotate".to_owned());
}
