//! A plan is the one that was written, or none.

use std::num::NonZeroUsize;

use super::*;
use crate::rotation::planned::Before;
use crate::secret::Secret;

fn made() -> FleetPlan {
    let created_at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let before = Before {
        updated_at: Some("2026-11-01T00:00:00Z".to_owned()),
        current: Some(Secret::new("whsec_before").fingerprint()),
        ..Before::default()
    };
    let entry = Entry {
        target: "payments".to_owned(),
        provider: "layers".to_owned(),
        endpoint: "layers/1@https://api.example".to_owned(),
        id: "1".to_owned(),
        direction: "overlap-either".to_owned(),
        ends_old: false,
        stores: vec![Place { reference: "file:/srv/hook".to_owned(), server: None }],
        receivers: vec!["https://receiver.example/hooks".to_owned()],
        request: Some("sha256:00".to_owned()),
        wave: 0,
        before,
    };
    let options = Options {
        jobs: NonZeroUsize::MIN,
        canary: vec!["payments".to_owned()],
        wave: Some(Share::Percent(25)),
        pause_seconds: 0,
        max_failures: None,
        max_wait_seconds: 900,
        overlap_seconds: None,
        detach: false,
        prepared: false,
        probe_first: false,
    };
    let mut plan = FleetPlan {
        schema: SCHEMA.to_owned(),
        digest: String::new(),
        created_at,
        expires_at: created_at + LASTS,
        by: "ana@ops3".to_owned(),
        command: "rotate".to_owned(),
        reason: Some("quarterly".to_owned()),
        options,
        targets: vec![entry],
        skipped: vec![Skipped { target: "old".to_owned(), why: "a rotation of it is open".to_owned() }],
    };
    plan.digest = plan.own_digest();
    plan
}

#[test]
fn t7_a_plan_with_another_byte_is_nobodys() {
    let plan = made();
    let (text, now) = (plan.text(), plan.created_at);
    assert_eq!(FleetPlan::read(now, text.as_bytes()).unwrap(), plan);
    for at in 0..text.len() {
        for other in [text.as_bytes()[at] ^ 1, b' ', b'0'] {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] == other {
                continue;
            }
            bytes[at] = other;
            let refused = FleetPlan::read(now, &bytes).unwrap_err();
            assert_eq!(refused.kind(), Kind::Conflict, "{at}: {refused}");
        }
        let refused = FleetPlan::read(now, &text.as_bytes()[..at]).unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "{at}: {refused}");
    }
    for bytes in [format!("{text} "), format!(" {text}"), text.replace("\n  ", "\n   "), "[]".to_owned()] {
        assert!(FleetPlan::read(now, bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn a_plan_is_good_for_a_day() {
    let plan = made();
    let last = plan.expires_at - SignedDuration::from_secs(1);
    assert!(FleetPlan::read(last, plan.text().as_bytes()).is_ok());
    let refused = FleetPlan::read(plan.expires_at, plan.text().as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("was good until 2026-11-22 12:00"), "{refused}");
    assert_eq!(refused.kind(), Kind::Conflict);
}

#[test]
fn a_plan_of_another_whsec_is_said_to_be_one() {
    let text = made().text().replace("whsec.plan/v1", "whsec.plan/v2");
    let refused = FleetPlan::read(made().created_at, text.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("is of another whsec (whsec.plan/v2"), "{refused}");
}

#[test]
fn whatever_is_decided_otherwise_is_named() {
    let was = made().targets.remove(0);
    assert!(was.refuse_otherwise(&Entry { wave: 3, before: Before::default(), ..was.clone() }).is_ok());
    let moved = vec![Place { server: Some("https://vault.example".to_owned()), ..was.stores[0].clone() }];
    let all = [
        (Entry { endpoint: "layers/2@https://api.example".to_owned(), ..was.clone() }, "the endpoint was layers/1@"),
        (Entry { id: "2".to_owned(), ..was.clone() }, "its id was 1, is 2"),
        (Entry { direction: "instant".to_owned(), ..was.clone() }, "the direction was overlap-either, is instant"),
        (Entry { stores: moved, ..was.clone() }, "its stores was file:/srv/hook, is file:/srv/hook at https://vault"),
        (Entry { receivers: Vec::new(), ..was.clone() }, "its receivers was https://receiver.example/hooks, is "),
        (Entry { request: None, ..was.clone() }, "the request was sha256:00, is none"),
    ];
    for (now, words) in all {
        let refused = was.refuse_otherwise(&now).unwrap_err();
        assert!(refused.is_stale() && refused.to_string().contains(words), "{refused}");
    }
}
