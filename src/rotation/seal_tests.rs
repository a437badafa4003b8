//! Seals are opened only where they were made, and for the rotation that they were made for.

use super::*;
use crate::store::{self, Reference, SlotNames, Surroundings};
use crate::system::private;

fn seals(state: &Path) -> Seals {
    let reference = Reference::File { path: state.join("identity") };
    let open = || store::open(&reference, &SlotNames::default(), &Surroundings::default());
    Seals::open(state, &[], &|| Ok(Places { first: open()?, otherwise: None })).unwrap()
}

/// What anybody can put there who has read the recipient.
fn forge(seals: &Seals, rotation: Uuid, plain: &[u8]) {
    private::folder(&seals.folder).unwrap();
    std::fs::write(seals.path(rotation), envelope::encrypt(&seals.recipients, plain).unwrap()).unwrap();
}

#[test]
fn b4_a_seal_is_for_its_rotation_alone() {
    let state = tempfile::tempdir().unwrap();
    let seals = seals(state.path());
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    seals.seal(one, &Sealed::new(None, "whsec_one")).unwrap();
    assert_eq!(seals.unseal(one).unwrap().secret().expose(), "whsec_one");
    std::fs::copy(seals.path(one), seals.path(other)).unwrap();
    assert!(matches!(seals.unseal(other), Err(SealError::NotOurs { .. })), "another rotation's seal");
    let fingerprint = Secret::new("whsec_one").fingerprint();
    assert!(seals.secret_of(one, Some(&fingerprint)).is_ok() && seals.secret_of(one, None).is_ok());
    let says = Secret::new("whsec_other").fingerprint();
    assert!(matches!(seals.secret_of(one, Some(&says)), Err(SealError::OtherSecret { .. })));
}

#[test]
fn b4_a_seal_that_somebody_else_made_is_not_believed() {
    let state = tempfile::tempdir().unwrap();
    let seals = seals(state.path());
    let id = Uuid::new_v4();
    let json = serde_json::to_string(&Sealed::new(None, "whsec_forged")).unwrap();
    for stamp in [String::new(), "\n".to_owned(), format!("\n{}", "0".repeat(64))] {
        forge(&seals, id, format!("{json}{stamp}").as_bytes());
        let error = seals.unseal(id).err().unwrap();
        assert!(matches!(error, SealError::NotOurs { .. }), "{error}");
        assert!(error.hint().unwrap().to_string().contains("find out who writes in the state folder"));
    }
}

#[test]
fn b4_a_seal_of_version_0_1_0_is_taken_over_where_it_lay_before_the_key() {
    let state = tempfile::tempdir().unwrap();
    let (old, late) = (Uuid::new_v4(), Uuid::new_v4());
    let json = serde_json::to_vec(&Sealed::new(None, "whsec_old")).unwrap();
    let made = seals(state.path());
    forge(&made, old, &json);
    std::fs::remove_file(state.path().join("state-key")).unwrap();
    let taken = seals(state.path());
    assert_eq!(taken.unseal(old).unwrap().secret().expose(), "whsec_old");
    forge(&taken, late, &json);
    assert!(matches!(seals(state.path()).unseal(late), Err(SealError::NotOurs { .. })));
}
