//! Which deliveries are probes of this state folder's: anybody can mark a delivery as one, so the id has to bear its stamp.

use uuid::Uuid;

use crate::delivery::Delivery;
use crate::provider::PROBE_MARK;
use crate::stamp::StampKey;

/// What every probe's id begins with.
const BEGIN: &str = "probe_";
/// What a probe's stamp is for.
const STAMPED: &str = "probe";
/// Hex digits that are made up, and those of the stamp behind them.
const CHANCE: usize = 16;
const STAMP: usize = 32;

/// The id of a new probe. Nothing has to be kept of it: whoever has the key knows it again.
pub fn id(key: Option<&StampKey>) -> String {
    let chance = Uuid::new_v4().simple().to_string();
    let Some(key) = key else { return format!("{BEGIN}{chance}") };
    let chance = &chance[..CHANCE];
    let stamp = key.stamp(STAMPED, &[chance.as_bytes()]);
    format!("{BEGIN}{chance}{}", stamp.get(..STAMP).unwrap_or_default())
}

/// Whether a delivery is a probe that was sent with this key: it says so, and the id that is signed with it, in a header or in
/// the body, is one of ours. What only says so is an ordinary delivery, whoever sent it.
pub fn is_probe(delivery: &Delivery<'_>, id_header: Option<&str>, key: Option<&StampKey>) -> bool {
    let header = |name: &str| delivery.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    let (Some(key), true) = (key, header(PROBE_MARK).is_some()) else { return false };
    match id_header {
        Some(name) => header(name).is_some_and(|(_, id)| is_ours(key, id.trim())),
        None => {
            let body = String::from_utf8_lossy(&delivery.body);
            body.match_indices(BEGIN)
                .any(|(at, _)| body.get(at..at + BEGIN.len() + CHANCE + STAMP).is_some_and(|id| is_ours(key, id)))
        }
    }
}

fn is_ours(key: &StampKey, id: &str) -> bool {
    let rest = id.strip_prefix(BEGIN).filter(|rest| rest.len() == CHANCE + STAMP && rest.is_ascii());
    let parts = rest.map(|rest| rest.split_at(CHANCE));
    parts.is_some_and(|(chance, stamp)| key.vouches(STAMPED, &[chance.as_bytes()], stamp))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn delivery<'a>(headers: &[(&'a str, &'a str)], body: &'a str) -> Delivery<'a> {
        let headers = headers.iter().map(|(name, value)| (Cow::from(*name), Cow::from(*value))).collect();
        Delivery { headers, body: Cow::from(body.as_bytes()), ..Delivery::default() }
    }

    #[test]
    fn b8_a_probe_is_one_whose_signed_id_is_ours() {
        let (key, other) = (StampKey::generate(), StampKey::generate());
        let (ours, theirs, plain) = (id(Some(&key)), id(Some(&other)), id(None));
        let (mark, by_id) = (("x-whsec-probe", "1"), Some("webhook-id"));
        let body = |id: &str| format!("{{\"a\":\"probe_\",\"id\":\"evt_{id}\"}}");
        for (header, id, expected) in
            [(mark, &ours, true), (("x-other", "1"), &ours, false), (mark, &theirs, false), (mark, &plain, false)]
        {
            assert_eq!(is_probe(&delivery(&[header, ("Webhook-Id", id)], ""), by_id, Some(&key)), expected, "{id}");
            assert_eq!(is_probe(&delivery(&[header], &body(id)), None, Some(&key)), expected, "{id} in the body");
        }
        // An id that is not signed is nobody's, and without a key no probe is known.
        assert!(!is_probe(&delivery(&[mark, ("Webhook-Id", "msg_1")], &body(&ours)), by_id, Some(&key)));
        assert!(!is_probe(&delivery(&[mark, ("Webhook-Id", &ours)], ""), by_id, None));
        assert!(!is_probe(&delivery(&[mark], "probe_\u{fc}probe_"), None, Some(&key)));
    }
}
