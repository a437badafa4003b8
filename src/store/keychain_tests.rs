//! Keychains in trouble. Those with a real one are set up and called by `tests/keychain/faults.sh`.

use super::*;
use crate::store::slots::prove;

fn proof_fails() -> StoreError {
    let store = Keychain::new("whsec-faults", "account", &SlotNames::default()).unwrap();
    let started = Instant::now();
    let error = prove(&store, &Secret::new("canary")).unwrap_err();
    assert!(started.elapsed() < STORE_DEADLINE + Duration::from_millis(200), "took {:?}", started.elapsed());
    error
}

fn is_keychain(error: &StoreError, part: &str) {
    assert!(matches!(error, StoreError::Keychain { why, .. } if why.contains(part)), "{error}");
}

#[test]
#[ignore = "run by tests/keychain/faults.sh, where the keychain is locked"]
fn locked() {
    is_keychain(&proof_fails(), "is locked");
}

#[test]
#[ignore = "run by tests/keychain/faults.sh, where the daemon is stopped"]
fn stopped() {
    assert!(matches!(proof_fails(), StoreError::TimedOut { .. }));
}

#[test]
#[ignore = "run by tests/keychain/faults.sh, where there is no bus"]
fn without_a_bus() {
    is_keychain(&proof_fails(), "is not there");
}

#[test]
#[ignore = "run by tests/keychain/faults.sh, where another client has written"]
fn with_another_client() {
    let entry = keychain_entry("whsec-other", "account");
    assert_eq!(entry.get(Slot::Current).unwrap().unwrap().expose(), "written by secret-tool");
    entry.apply(&[(Slot::Current, Some(&Secret::new("written by whsec")))]).unwrap();
    is_keychain(&keychain_entry("whsec-binary", "account").get(Slot::Current).unwrap_err(), "not text");
}

#[test]
fn an_error_with_the_secret_in_it_says_nothing_of_it() {
    let inner = || std::io::Error::other("hidden").into();
    for error in [Error::BadEncoding(b"hidden".to_vec()), Error::BadDataFormat(b"hidden".to_vec(), inner())] {
        let error = Trouble::from(error).of("keychain:x");
        assert!(!format!("{error:?} {error} {:?}", error.hint()).contains("hidden"));
        assert!(std::error::Error::source(&error).is_none());
    }
}

#[test]
fn references_are_the_shortest_that_open_the_same() {
    assert_eq!(keychain_entry("payments", DEFAULT_ACCOUNT).reference(), "keychain:payments");
    assert_eq!(keychain_entry("payments", "layers").reference(), "keychain:payments/layers");
}
