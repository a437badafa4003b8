//! The store by the real `kubectl`, against an API server of our own for Secrets.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::servers::kubernetes::{Fault, Kubernetes as Cluster};
use crate::store::conformance::{self, conforms, opened_in};
use crate::store::slots::{ANY, prove, stage};
use crate::store::{Environment, Store};

/// A cluster, and a kubeconfig that leads to it.
struct Scene {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { cluster: Cluster::start(), folder: tempfile::tempdir().unwrap() };
        std::fs::write(scene.folder.path().join("config"), scene.cluster.kubeconfig()).unwrap();
        scene
    }

    fn open(&self, text: &str) -> Box<dyn Store> {
        let config = self.folder.path().join("config").display().to_string();
        let find = move |name: &str| (name == "KUBECONFIG").then(|| config.clone());
        opened_in(text, Path::new("/"), Environment::new(find, None, || jiff::Timestamp::UNIX_EPOCH))
    }
}

#[test]
#[ignore = "needs kubectl; run by tests/run"]
fn kubectl_every_check_passes() {
    let scene = Scene::new();
    scene.cluster.create("pay", "hooks", json!({ "theirs": "AAEC" }));
    let bench = |name: &str| scene.open(&format!("k8s:pay/hooks#{name}"));
    // Each call is a program of its own, so that the whole suite takes a minute.
    match std::env::var_os("WHSEC_TEST_FULL") {
        Some(_) => conforms(&bench),
        None => {
            conformance::a_canary_leaves_no_trace(&bench);
            conformance::a_rotation_goes_through(&bench);
        }
    }
    let object = scene.cluster.object("pay", "hooks");
    assert_eq!(
        (&object["data"], &object["metadata"]["annotations"]),
        (&json!({ "theirs": "AAEC" }), &json!({ "kept": "as it was" }))
    );
    assert_eq!(scene.open("k8s:pay/hooks#k").server().unwrap().unwrap(), scene.cluster.server.url());
    // One without any values, and a value that is none of ours.
    scene.cluster.create("pay", "empty", serde_json::Value::Null);
    stage(&*scene.open("k8s:pay/empty#key"), &Secret::new("new"), ANY).unwrap();
    assert_eq!(scene.cluster.object("pay", "empty")["data"], json!({ "key_next": "bmV3" }));
    scene.cluster.create("pay", "binary", json!({ "key": "/w==" }));
    assert!(prove(&*scene.open("k8s:pay/binary#key"), &Secret::new("c")).unwrap_err().to_string().contains("not text"));
}

#[test]
#[ignore = "needs kubectl; run by tests/run"]
fn kubectl_each_refusal_says_what_is_wrong_and_nothing_secret() {
    let cases = [
        (Fault::Unauthorized, "does not accept the login", "log in again"),
        (Fault::Forbidden, "not allowed to change the Secret `hooks` in `pay`", "`get` and `update`"),
        (Fault::Immutable, "does not take the Secret", "immutable"),
        (Fault::Unwell, "the cluster is not well", "in a while"),
        (Fault::AlwaysFaster, "wrote it again and again", "who writes there"),
    ];
    for (fault, why, hint) in cases {
        let scene = Scene::new();
        scene.cluster.create("pay", "hooks", json!({ "key": "bGl2ZQ==" }));
        scene.cluster.fail(Some(fault));
        let error = prove(&*scene.open("k8s:pay/hooks#key"), &Secret::new("canary_0123")).unwrap_err();
        let words = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(words.contains(why) && words.contains(hint), "{fault:?}: {words}");
        assert!(!words.contains("canary_0123"), "{words}");
        assert_eq!(scene.cluster.object("pay", "hooks")["data"], json!({ "key": "bGl2ZQ==" }), "{fault:?}");
    }
    let scene = Scene::new();
    let error = prove(&*scene.open("k8s:pay/none#key"), &Secret::new("c")).unwrap_err();
    assert!(error.to_string().contains("there is no Secret `none` in `pay`"), "{error}");
    scene.cluster.create("pay", "hooks", json!({ "key": "bGl2ZQ==" }));
    scene.cluster.fail(Some(Fault::LostAnswer));
    stage(&*scene.open("k8s:pay/hooks#key"), &Secret::new("new"), ANY).unwrap();
}
