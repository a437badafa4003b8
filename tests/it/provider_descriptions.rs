//! Descriptions, endpoints and keys that cannot be right are refused, with the file, the key and the fix.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use whsec::provider::request::{self, encode_segment};
use whsec::provider::spec::Signs;
use whsec::provider::{Catalog, Force, Overlap, Provider, ProviderError, preview};
use whsec::secret::Secret;

const GOOD: &str = r#"
version = 1
name = "acme"
title = "Acme"
base_url = "https://api.acme.example/prefix"
ids = ["app", "hook"]
[auth]
env = "ACME_API_KEY"
about = "an API key"
schemes = [{ name = "bearer", header = "Authorization", value = "Bearer {key}" }]
[rotate]
method = "POST"
path = "/v1/{app}/hooks/{hook}/rotate"
[rotate.answer]
secret = "/data/secret"
[overlap]
kind = "fixed"
window = "24h"
[force]
body = { force = true, why = "{reason}" }
reason_max = 100
[idempotency]
header = "Idempotency-Key"
form = "token"
window = "24h"
[inspect]
method = "GET"
path = "/v1/{app}/hooks/{hook}"
[errors]
code = "/code"
table = [{ status = 409, code = "open", means = "overlap_open" }]
[signature]
grammar = "t=,v1="
header = "X-Acme-Signature"
signed = "{timestamp}.{body}"
encoding = "hex"
key = "raw"
tolerance = "300s"
"#;

fn refused(text: &str) -> ProviderError {
    Provider::parse(text, "acme.toml").expect_err("a refusal")
}

#[test]
fn the_good_description_is_accepted() {
    let provider = Provider::parse(GOOD, "acme.toml").expect("a provider");
    assert_eq!(provider.force(), Force::Call);
}

#[test]
fn one_mistake_is_one_refusal() {
    // (what stands there, what is written in its place, the key that the error names)
    let cases = [
        ("version = 1", "version = 2", "version"),
        ("version = 1", "", "version"),
        ("\"acme\"", "\"Acme Corp\"", "name"),
        ("\"acme\"", "\"../acme\"", "name"),
        ("https://api.acme.example/prefix", "http://api.acme.example", "base_url"),
        ("https://api.acme.example/prefix", "https://api.acme.example/?x=1", "base_url"),
        ("https://api.acme.example/prefix", "https://user:pw@api.acme.example", "base_url"),
        ("https://api.acme.example/prefix", "https://api.acme.example/a/../b", "base_url"),
        ("https://api.acme.example/prefix", "ftp://api.acme.example", "base_url"),
        ("ids = [\"app\", \"hook\"]", "ids = []", "ids"),
        ("ids = [\"app\", \"hook\"]", "ids = [\"app\", \"app\"]", "ids"),
        ("ids = [\"app\", \"hook\"]", "ids = [\"app\", \"hook\", \"more\"]", "rotate.path"),
        ("ids = [\"app\", \"hook\"]", "ids = [\"app\", \"a/b\"]", "ids"),
        ("\"ACME_API_KEY\"", "\"LD_PRELOAD\"", "auth.env"),
        ("Bearer {key}", "Bearer", "auth.schemes.value"),
        ("Bearer {key}", "{key}{key}", "auth.schemes.value"),
        ("Bearer {key}", "Bearer {key}\\nX: y", "auth.schemes.value"),
        ("header = \"Authorization\"", "header = \"Host\"", "auth.schemes.header"),
        ("/hooks/{hook}/rotate", "/hooks/{hook}/../rotate", "rotate.path"),
        ("/hooks/{hook}/rotate", "/hooks/x{hook}/rotate", "rotate.path"),
        ("/hooks/{hook}/rotate", "/hooks/{hook}/{other}", "rotate.path"),
        ("/hooks/{hook}/rotate", "/hooks/{hook}/rotate?force=true", "rotate.path"),
        ("method = \"POST\"", "method = \"GET\"", "rotate.method"),
        ("secret = \"/data/secret\"", "secret = \"data.secret\"", "rotate.answer.secret"),
        ("secret = \"/data/secret\"", "secret = \"\"", "rotate.answer.secret"),
        ("window = \"24h\"\n[force]", "[force]", "overlap.window"),
        ("window = \"24h\"\n[force]", "window = \"-24h\"\n[force]", "overlap.window"),
        ("kind = \"fixed\"", "kind = \"none\"", "force"),
        ("[force]", "[list]\npath = \"/apps/{app}/{hook}\"\nitems = \"/d\"\nid = \"/id\"\n[force]", "list.path"),
        ("[force]", "[list]\npath = \"/apps/{app}\"\nitems = \"d\"\nid = \"/id\"\n[force]", "list.items"),
        ("[force]", "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"\"\n[force]", "list.id"),
        ("[force]", "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\nurl = \"url\"\n[force]", "list"),
        (
            "[force]",
            "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\npage = \"p\"\nafter = \"a\"\nmore = \"/m\"\n[force]",
            "list",
        ),
        (
            "[force]",
            "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\npage = \"p&x\"\nmore = \"/m\"\n[force]",
            "list",
        ),
        (
            "[force]",
            "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\ncursor = \"c\"\n[force]",
            "list.cursor",
        ),
        ("[force]", "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\nsize = \"n\"\n[force]", "list.size"),
        ("[force]", "[list]\npath = \"/apps/{app}\"\nitems = \"/d\"\nid = \"/id\"\npage = \"p\"\n[force]", "list.more"),
        ("kind = \"fixed\"\nwindow = \"24h\"", "kind = \"answered\"", "rotate.answer.old_expires_at"),
        ("body = { force = true, why = \"{reason}\" }", "", "force.body"),
        ("reason_max = 100", "", "force.reason_max"),
        ("why = \"{reason}\"", "why = \"x {reason}\"", "force.body"),
        ("why = \"{reason}\"", "why = 2026-01-01", "force.body"),
        ("header = \"Idempotency-Key\"", "header = \"Host\"", "idempotency.header"),
        ("header = \"Idempotency-Key\"", "header = \"Authorization\"", "idempotency.header"),
        ("header = \"Idempotency-Key\"", "header = \"Content-Type\"", "idempotency.header"),
        ("ids = [\"app\", \"hook\"]", "ids = [\"secret\", \"hook\"]", "ids"),
        ("form = \"token\"", "form = \"uuid\"\nmax_length = 9", "idempotency.max_length"),
        ("form = \"token\"", "form = \"token\"\nmax_length = 9", "idempotency.max_length"),
        ("form = \"token\"\nwindow = \"24h\"", "form = \"token\"\nwindow = \"1s\"", "idempotency.window"),
        ("method = \"GET\"", "method = \"POST\"", "inspect.method"),
        ("status = 409", "status = 200", "errors.table.1"),
        ("code = \"/code\"", "", "errors.table.1"),
        ("{timestamp}.{body}", "{timestamp}.{body}.{body}", "signature.signed"),
        ("{timestamp}.{body}", "{body}", "signature.signed"),
        ("{timestamp}.{body}", "{id}.{timestamp}.{body}", "signature.id_header"),
        ("tolerance = \"300s\"", "tolerance = \"0s\"", "signature.tolerance"),
        ("[auth]", "[headers]\nAuthorization = \"x\"\n[auth]", "headers.Authorization"),
        ("[auth]", "[headers]\nHost = \"x\"\n[auth]", "headers.Host"),
        ("[auth]", "[headers]\nContent-Length = \"5\"\n[auth]", "headers.Content-Length"),
        ("[auth]", "[headers]\n\"X Y\" = \"5\"\n[auth]", "headers.X Y"),
        ("[auth]", "[headers]\nX-Y = \"a\\r\\nb\"\n[auth]", "headers.X-Y"),
        ("[auth]", "[headers]\nidempotency-key = \"a\"\n[auth]", "headers.idempotency-key"),
        ("[auth]", "[options.v]\nheader = \"Cookie\"\nabout = \"x\"\n[auth]", "options.v"),
        ("window = \"24h\"\n[force]", "window = \"24h\"\nmin = \"1h\"\n[force]", "overlap.min"),
        ("kind = \"fixed\"", "kind = \"chosen\"\nmin = \"1h\"\nmax = \"2d\"", "rotate.body"),
        ("[auth]", "[id.app]\nform = \"label\"\n[id.other]\nform = \"label\"\n[auth]", "id.other"),
        ("name = \"bearer\",", "name = \"bearer\", path = \"/bot{key}\",", "auth.schemes.path"),
        ("header = \"Authorization\", value = \"Bearer {key}\"", "path = \"/bot{key}/x\"", "auth.schemes.path"),
        ("header = \"Authorization\", value = \"Bearer {key}\"", "path = \"bot{key}\"", "auth.schemes.path"),
        ("header = \"Authorization\", value = \"Bearer {key}\"", "path = \"/bot\"", "auth.schemes.path"),
        ("secret = \"/data/secret\"", "secret = \"/data/secret\"\nlist = \"/data\"", "rotate.answer.list"),
        ("secret = \"/data/secret\"", "secret = \"/s\"\nlist = \"/data\"\nwithout = \"at\"", "rotate.answer"),
        ("code = \"/code\"", "code = \"/code\"\nwithin = \"errors\"", "errors"),
        ("code = \"/code\"", "code = \"/code\"\nwithin = \"\"", "errors.within"),
        ("[auth]", "[id.app]\nform = \"label\"\n[auth]", "id.app"),
    ];
    for (before, after, expected) in cases {
        assert!(GOOD.contains(before), "{before}");
        let error = refused(&GOOD.replace(before, after));
        let hint = error.hint();
        match error {
            ProviderError::Invalid { file, key, .. } => {
                assert_eq!((file.as_str(), key.as_str()), ("acme.toml", expected), "{after}")
            }
            other => panic!("{after}: {other}"),
        }
        assert!(hint.is_some(), "{after}");
    }
}

#[test]
fn an_unknown_key_names_its_place_and_the_nearest_known_one() {
    let error = refused(&GOOD.replace("base_url =", "baseurl ="));
    assert!(error.to_string().starts_with("acme.toml:5:1: unknown field `baseurl`"), "{error}");
    assert_eq!(error.hint().unwrap().to_string(), "did you mean `base_url`?");
    let error = refused(&GOOD.replace("kind = \"fixed\"", "kind = \"fixd\""));
    assert_eq!(error.hint().unwrap().to_string(), "did you mean `fixed`?");
}

#[test]
fn what_is_built_in_is_sound() {
    let a_day = Overlap::Fixed(std::time::Duration::from_secs(86_400));
    let ended = |signs, seconds: Option<u64>| Overlap::UntilEnded {
        signs,
        settles: seconds.map(std::time::Duration::from_secs),
    };
    let expected = [
        ("ada", Overlap::Unknown, Force::SameCall),
        ("adyen", Overlap::Unknown, Force::SameCall),
        ("bitbucket", Overlap::None, Force::SameCall),
        ("calendly", ended(Signs::Apart, None), Force::Unavailable),
        ("circleci", Overlap::None, Force::SameCall),
        ("clerk", ended(Signs::Apart, None), Force::Unavailable),
        ("contentful", Overlap::None, Force::SameCall),
        ("convoy", a_day, Force::Unavailable),
        ("docusign", ended(Signs::Both, None), Force::Unavailable),
        ("elevenlabs", Overlap::Unknown, Force::SameCall),
        ("figma", Overlap::None, Force::SameCall),
        ("gemini", a_day, Force::Call),
        ("gitea", Overlap::None, Force::SameCall),
        ("github", Overlap::None, Force::SameCall),
        ("github-app", Overlap::None, Force::SameCall),
        ("github-org", Overlap::None, Force::SameCall),
        ("gitlab", Overlap::None, Force::SameCall),
        ("gitlab-group", Overlap::None, Force::SameCall),
        ("gocardless", Overlap::Unknown, Force::SameCall),
        ("hand", Overlap::Unknown, Force::SameCall),
        ("heroku", Overlap::None, Force::SameCall),
        ("hopae", Overlap::None, Force::SameCall),
        ("hubspot", Overlap::Unknown, Force::SameCall),
        ("intercom", Overlap::Unknown, Force::SameCall),
        ("kadosei", Overlap::Unknown, Force::SameCall),
        ("kit", Overlap::Answered, Force::Call),
        ("klaviyo", Overlap::None, Force::SameCall),
        ("layers", a_day, Force::Unavailable),
        ("lemonsqueezy", Overlap::None, Force::SameCall),
        ("line", Overlap::None, Force::SameCall),
        ("linear", Overlap::None, Force::SameCall),
        ("lithic", a_day, Force::Unavailable),
        ("mailgun", Overlap::Unknown, Force::SameCall),
        ("meta", Overlap::Unknown, Force::SameCall),
        ("mux", Overlap::Unknown, Force::SameCall),
        ("nango", Overlap::Unknown, Force::SameCall),
        ("notion", Overlap::Unknown, Force::SameCall),
        ("nylas", Overlap::None, Force::SameCall),
        ("okta", Overlap::None, Force::SameCall),
        ("openai", a_day, Force::Call),
        ("paddle", ended(Signs::Apart, None), Force::Unavailable),
        ("pagerduty", ended(Signs::Apart, None), Force::Unavailable),
        ("persona", Overlap::Fixed(std::time::Duration::from_secs(7_200)), Force::Unavailable),
        ("polar", Overlap::None, Force::SameCall),
        ("quickbooks", Overlap::Unknown, Force::SameCall),
        ("razorpay", Overlap::None, Force::SameCall),
        ("resend", a_day, Force::Unavailable),
        ("revolut-merchant", a_day, Force::Call),
        ("sentry", Overlap::None, Force::SameCall),
        ("shopify", ended(Signs::Old, Some(3_600)), Force::Unavailable),
        ("signa", a_day, Force::Call),
        ("slack", Overlap::Unknown, Force::SameCall),
        ("smartsheet", Overlap::Unknown, Force::SameCall),
        ("square", Overlap::Unknown, Force::SameCall),
        ("stripe", a_day, Force::Unavailable),
        ("stripe-api", ended(Signs::Apart, None), Force::Unavailable),
        ("svix", a_day, Force::Call),
        ("telegram", Overlap::None, Force::SameCall),
        ("terraform", Overlap::None, Force::SameCall),
        ("twilio", ended(Signs::Old, Some(60)), Force::Unavailable),
        ("typeform", Overlap::None, Force::SameCall),
        ("vercel", ended(Signs::Apart, None), Force::Unavailable),
        ("verifa", Overlap::None, Force::SameCall),
        ("webflow", Overlap::Unknown, Force::SameCall),
        ("woocommerce", Overlap::None, Force::SameCall),
        ("workos", ended(Signs::Apart, None), Force::Unavailable),
        ("xero", Overlap::Unknown, Force::SameCall),
        ("zendesk", Overlap::Unknown, Force::SameCall),
        ("zoom", Overlap::Unknown, Force::SameCall),
    ];
    let catalog = Catalog::builtin();
    assert_eq!(catalog.names(), expected.map(|(name, ..)| name));
    for (name, overlap, force) in expected {
        let provider = catalog.get(name).expect(name);
        assert_eq!((provider.overlap(), provider.force()), (overlap, force), "{name}");
        assert_eq!(preview::describe(&provider).is_empty(), provider.is_by_hand(), "{name}");
    }
    let readme = std::fs::read_to_string("README.md").unwrap();
    assert!(readme.contains(&format!("It knows {} kinds of endpoints", catalog.names().len())), "README.md");
    assert!(
        matches!(catalog.get("layer"), Err(ProviderError::NotFound { nearest: Some(nearest), .. }) if nearest == "layers")
    );
}

#[test]
fn a_secret_of_ours_goes_into_the_body_once_and_what_does_not_go_with_that_is_refused() {
    let good = include_str!("../../src/provider/builtin/github.toml").replace("\"github\"", "\"acme\"");
    Provider::parse(&good, "acme.toml").expect("a provider");
    for (from, to, expected) in [
        ("kind = \"set\"\n", "", "rotate.secret"),
        ("secret = { form = \"hex\", bytes = 32 }\n", "", "rotate.secret"),
        ("bytes = 32", "bytes = 8", "rotate.secret.bytes"),
        ("bytes = 32", "bytes = 65", "rotate.secret.bytes"),
        ("body = { secret = \"{secret}\" }", "body = { secret = \"x\" }", "rotate.body"),
        ("body = { secret = \"{secret}\" }", "body = { a = \"{secret}\", b = \"{secret}\" }", "rotate.body"),
        ("body = { secret = \"{secret}\" }", "body = { secret = \"whsec_{secret}\" }", "rotate.body"),
        ("body = { secret = \"{secret}\" }", "body = { \"{secret}\" = 1 }", "rotate.body"),
        ("body = { secret = \"{secret}\" }", "body = { secret = \"{secrets}\" }", "rotate.body"),
        ("[overlap]\nkind = \"none\"", "[overlap]\nkind = \"fixed\"\nwindow = \"1h\"", "overlap.kind"),
        ("[overlap]", "[rotate.answer]\nsecret = \"/secret\"\n\n[overlap]", "rotate.answer"),
        ("secret = { form", "read = \"/repos/{owner}/{repo}/hooks/{hook_id}\"\nsecret = { form", "rotate.read"),
        ("[overlap]", "[idempotency]\nheader = \"Key\"\nform = \"uuid\"\nwindow = \"1h\"\n\n[overlap]", "idempotency"),
        ("key = \"raw\"", "key = \"base64-after-prefix\"", "rotate.secret.form"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let ProviderError::Invalid { key, .. } = refused(&text) else { panic!("{to}") };
        assert_eq!(key, expected, "{to}");
    }
    // Where the provider makes it, nothing stands for it, and the answer has to say it.
    let text = GOOD.replace("[rotate.answer]\nsecret = \"/data/secret\"\n", "");
    assert!(matches!(refused(&text), ProviderError::Invalid { key, .. } if key == "rotate.answer"));
}

#[test]
fn what_is_sent_back_is_read_first_and_words_stand_for_whole_values() {
    let good = include_str!("../../src/provider/builtin/gitlab.toml").replace("\"gitlab\"", "\"acme\"");
    Provider::parse(&good, "acme.toml").expect("a provider");
    let body = "body = { url = \"{carry.url}\", signing_token = \"{secret}\" }";
    let inspect = &good[good.find("[inspect]").unwrap()..good.find("[test_delivery]").unwrap()];
    for (from, to, expected) in [
        (body, "body = { signing_token = \"{secret}\" }", "rotate.carry.url"),
        (body, "body = { url = \"x {carry.url}\", signing_token = \"{secret}\" }", "rotate.carry.url"),
        (body, "body = { url = \"{carry.uri}\", signing_token = \"{secret}\" }", "rotate.carry.url"),
        (
            body,
            "body = { id = \"hook {hook_id}\", url = \"{carry.url}\", signing_token = \"{secret}\" }",
            "rotate.body.id",
        ),
        (body, "body = { \"{hook_id}\" = 1, url = \"{carry.url}\", signing_token = \"{secret}\" }", "rotate.body"),
        ("carry = { url = \"/url\" }", "", "rotate.body.url"),
        ("carry = { url = \"/url\" }", "carry = { url = \"url\" }", "rotate.carry.url"),
        ("carry = { url = \"/url\" }", "carry = { \"a b\" = \"/url\" }", "rotate.carry.a b"),
        ("carry = { url = \"/url\" }", "carry = { url = \"/url\", x = \"/x\" }", "rotate.carry.x"),
        (inspect, "", "rotate.carry.url"),
        ("kind = \"set\"\n", "", "rotate.secret"),
        ("kind = \"set\"\n", "kind = \"set\"\ntype = \"text/plain\"\n", "rotate.type"),
        ("kind = \"set\"\n", "kind = \"set\"\ntype = \"application/xml\"\n", "rotate.type"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let ProviderError::Invalid { key, .. } = refused(&text) else { panic!("{to}") };
        assert_eq!(key, expected, "{to}");
    }
    let with_id =
        good.replacen(body, "body = { id = \"{hook_id}\", url = \"{carry.url}\", signing_token = \"{secret}\" }", 1);
    Provider::parse(
        &with_id.replacen("kind = \"set\"", "kind = \"set\"\ntype = \"application/vnd.api+json\"", 1),
        "acme.toml",
    )
    .expect("a provider");
}

#[test]
fn what_makes_a_second_endpoint_says_how_it_is_told_from_the_first_and_how_that_is_removed() {
    let good = include_str!("../../src/provider/builtin/stripe-api.toml").replace("\"stripe-api\"", "\"acme\"");
    Provider::parse(&good, "acme.toml").expect("a provider");
    let inspect = &good[good.find("[inspect]").unwrap()..good.find("[errors]").unwrap()];
    let end = &good[good.find("[end]").unwrap()..good.find("[idempotency]").unwrap()];
    for (from, to, expected) in [
        ("method = \"POST\"", "method = \"PUT\"", "rotate.method"),
        ("kind = \"replace\"\n", "", "rotate.carry"),
        ("id = \"/id\"\n", "", "rotate.answer.id"),
        ("uncarried = {", "read = \"/v1/webhook_endpoints/{endpoint}\"\nuncarried = {", "rotate.read"),
        (inspect, "", "rotate.carry.events"),
        ("status = \"/status\"", "status = \"/status\"\nupdated_at = \"/created\"", "inspect.answer"),
        ("signs = \"apart\"", "signs = \"both\"", "overlap.signs"),
        ("kind = \"until-ended\"\nsigns = \"apart\"", "kind = \"none\"", "end"),
        (end, "", "end"),
        ("path = \"/v1/webhook_endpoints/{endpoint}\"\n\n[idem", "\n[idem", "end.path"),
        ("/{endpoint}\"\n\n[idem", "\"\n\n[idem", "end.path"),
        ("[end]\nkind = \"call\"", "[end]\nkind = \"call\"\nwhere = \"the page\"", "end.where"),
        ("[end]\nkind = \"call\"", "[end]\nkind = \"hand\"", "end.kind"),
        ("[end]\nkind = \"call\"", "[end]\nkind = \"hand\"\nwhere = \"the page\"", "end.kind"),
        ("\"{carry.about}\"", "\"{carry.about}\", id = \"{endpoint}\"", "rotate.body.id"),
        ("{ \"/application\"", "{ \"application\"", "rotate.uncarried"),
        ("x-www-form-urlencoded", "x-www-form", "rotate.type"),
        ("[auth]", "[options.team]\nabout = \"a team\"\n[auth]", "options.team"),
        ("[auth]", "[options.team]\nabout = \"a team\"\nquery = \"a b\"\n[auth]", "options.team"),
        ("[auth]", "[options.team]\nabout = \"a team\"\nquery = \"a\"\nheader = \"X-A\"\n[auth]", "options.team"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let ProviderError::Invalid { key, .. } = refused(&text) else { panic!("{to}") };
        assert_eq!(key, expected, "{to}");
    }
}

#[test]
fn a_users_file_wins_over_the_built_in_one_and_must_bear_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("acme.toml"), GOOD).expect("a file");
    std::fs::write(folder.path().join("layers.toml"), GOOD).expect("a file");
    let catalog = Catalog::load(Some(folder.path()));
    assert_eq!(catalog.get("acme").expect("acme").title(), "Acme");
    assert!(matches!(catalog.get("layers"), Err(ProviderError::Invalid { key, .. }) if key == "name"));
    let none = Catalog::load(Some(&folder.path().join("absent")));
    assert!(none.trouble().is_none() && none.get("layers").is_ok());
}

#[test]
fn the_preview_shows_requests_without_a_key() {
    let provider = Catalog::builtin().get("layers").expect("layers");
    let shown = preview::describe(&provider);
    assert_eq!(
        shown[0].lines,
        [
            "POST https://api.layers.com/v1/webhook-endpoints/ENDPOINTID/rotate-secret",
            "X-Api-Key: $LAYERS_API_KEY",
            "Idempotency-Key: 00000000-0000-4000-8000-000000000000",
            "Content-Length: 0",
        ]
    );
    assert_eq!(shown.iter().map(|call| call.call).collect::<Vec<_>>(), ["rotate", "inspect", "test delivery"]);
}

#[test]
fn keys_that_are_certainly_wrong_are_refused_before_anything_is_sent() {
    let sandbox = "https://sandbox.api.hopae.com/connect";
    let production = "https://api.hopae.com/connect";
    let cases = [
        ("hopae", "client_id", sandbox, "sk_workspace_prod_x", false),
        ("hopae", "client_id", sandbox, "sk_workspace_test_x", true),
        ("hopae", "client_id", production, "sk_workspace_test_x", false),
        ("hopae", "client_id", production, "sk_workspace_prod_x", true),
        ("verifa", "endpoint_id", "https://api.withverifa.com", "vk_pub_live_x", false),
        ("verifa", "endpoint_id", "https://api.withverifa.com", "vk_live_x", true),
        ("layers", "endpointId", "https://api.layers.com", "", false),
        ("layers", "endpointId", "https://api.layers.com", "lp_live_x\n", false),
        ("layers", "endpointId", "https://api.layers.com", "lp_live_é", false),
    ];
    for (name, id, base_url, key, fits) in cases {
        let provider = Catalog::builtin().get(name).expect(name);
        let ids = [(id.to_owned(), "x".to_owned())];
        let endpoint = provider.endpoint(Some(base_url), &ids, None, &BTreeMap::new()).expect("an endpoint");
        let admitted = provider.admit_key(&endpoint, &Secret::new(key));
        assert_eq!(admitted.is_ok(), fits, "{name} {base_url} {key:?}");
        if let Err(error) = admitted {
            assert!(error.hint().is_some());
        }
    }
}

#[test]
fn ids_are_all_there_and_no_others() {
    let provider = Catalog::builtin().get("kadosei").expect("kadosei");
    let make = |ids: &[(&str, &str)]| {
        let ids: Vec<_> = ids.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        provider.endpoint(Some("https://k.example"), &ids, None, &BTreeMap::new())
    };
    assert!(
        matches!(make(&[("webhookId", "w")]), Err(ProviderError::MissingId { name, .. }) if name == "applicationId")
    );
    let error = make(&[("webhookID", "w"), ("applicationId", "a")]).expect_err("a refusal");
    assert_eq!(error.hint().unwrap().to_string(), "did you mean `webhookId`?");
    assert!(make(&[("webhookId", "w"), ("applicationId", "a"), ("webhookId", "v")]).is_err());
    let endpoint = make(&[("webhookId", "w"), ("applicationId", "a")]).expect("an endpoint");
    assert_eq!(endpoint.key(), "kadosei/https%3A%2F%2Fk.example/a/w");
    assert_eq!(endpoint.own_id(), "w");
    let none = provider.endpoint(None, &[], None, &BTreeMap::new());
    assert!(matches!(none, Err(ProviderError::NoBaseUrl { .. })));
}

#[test]
fn an_id_that_is_no_segment_is_refused() {
    let provider = Catalog::builtin().get("signa").expect("signa");
    for id in ["", ".", "..", "a/b", "a\\b", "/", "a\0", "a\nb", "a b", "\u{85}", "\u{2028}", &"x".repeat(600)] {
        let ids = [("id".to_owned(), id.to_owned())];
        let made = provider.endpoint(None, &ids, None, &BTreeMap::new());
        assert!(matches!(made, Err(ProviderError::BadId { .. })), "{id:?}");
    }
}

#[test]
fn a_base_url_leads_over_https_or_to_this_machine() {
    let provider = Catalog::builtin().get("signa").expect("signa");
    let ids = [("id".to_owned(), "whk_1".to_owned())];
    let make = |base_url: &str| provider.endpoint(Some(base_url), &ids, None, &BTreeMap::new()).is_ok();
    for fits in [
        "https://a.example",
        "https://a.example/p/",
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:80",
        "http://localhost",
    ] {
        assert!(make(fits), "{fits}");
    }
    for unfit in [
        "http://a.example",
        "http://localhost.a.example",
        "http://127.0.0.1.a.example",
        "http://0.0.0.0",
        "http://[::2]",
        "http://10.0.0.1",
        "a.example",
        "file:///etc",
        "https://a.example#x",
        "https://a.example/%2e%2e/",
        "https://a.example//b",
        "https://a@b.example",
        "https://a.example/\\b",
        " https://a.example",
        "https://a.example/\n",
        "http://localhost@a.example",
    ] {
        assert!(!make(unfit), "{unfit}");
    }
}

#[test]
fn a_refused_base_url_does_not_show_its_password() {
    let provider = Catalog::builtin().get("layers").expect("layers");
    let error = provider
        .endpoint(Some("https://u:hunter2@api.layers.com"), &[], None, &BTreeMap::new())
        .expect_err("a refusal");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn idempotency_keys_have_the_providers_form() {
    let catalog = Catalog::builtin();
    let long = "k".repeat(256);
    for (name, key, fits) in [
        ("layers", "8e03978e-40d5-43dd-bc93-6894a57f9324", true),
        ("layers", "8E03978E-40D5-43DD-BC93-6894A57F9324", true),
        ("layers", "8e03978e40d543ddbc936894a57f9324", false),
        ("layers", "rotate-1", false),
        ("signa", "rotate-whk-01HK-2026-06-12", true),
        ("signa", "\"quoted\"", false),
        ("signa", "", false),
        ("signa", &long, false),
        ("kadosei", "x", false),
        ("verifa", "x", false),
    ] {
        let provider = catalog.get(name).expect(name);
        assert_eq!(request::check_key(&provider, key).is_ok(), fits, "{name} {key}");
    }
    for (name, takes) in [("layers", true), ("signa", true), ("hopae", true), ("kadosei", false), ("verifa", false)] {
        let provider = catalog.get(name).expect(name);
        let key = request::new_key(&provider);
        assert_eq!(key.is_some(), takes, "{name}");
        assert!(key.is_none_or(|key| request::check_key(&provider, &key).is_ok()), "{name}");
    }
}

#[test]
fn a_digest_tells_every_field_apart() {
    let provider = Catalog::builtin().get("signa").expect("signa");
    let ids = [("id".to_owned(), "whk_1".to_owned())];
    let endpoint = provider.endpoint(None, &ids, None, &BTreeMap::new()).expect("an endpoint");
    let base = request::rotate(&endpoint, Some("k")).expect("a call");
    let mut others = vec![base.clone(); 6];
    others[0].url.push('x');
    others[1].headers.clear();
    others[2].body = Some(String::new());
    others[3].auth.value.push('x');
    others[4].method = whsec::provider::spec::Method::Put;
    others[5].headers[0].0.push_str(&base.headers[0].1);
    for other in &others {
        assert_ne!(other.digest(), base.digest());
    }
    assert_eq!(base.digest().len(), "sha256:".len() + 64);
    let journaled = serde_json::to_string(&base).expect("JSON");
    assert_eq!(serde_json::from_str::<request::Request>(&journaled).expect("a request"), base);
}

/// Pieces of ids that try to leave their segment.
const HOSTILE: [&str; 18] = [
    "..",
    ".",
    "/",
    "\\",
    "%2e",
    "%2F",
    "%00",
    "?force=true",
    "#",
    "@",
    ":",
    "//evil.example",
    "rotate-secret",
    "\0",
    "\t",
    "é\u{202e}",
    "{id}",
    ";",
];

/// Every id of up to four hostile pieces: more than 100,000.
fn hostile_ids() -> impl Iterator<Item = String> {
    let of_length = |length: u32| {
        let digit = |number: usize, place: u32| HOSTILE[number / HOSTILE.len().pow(place) % HOSTILE.len()];
        (0..HOSTILE.len().pow(length)).map(move |number| (0..length).map(|place| digit(number, place)).collect())
    };
    (0..=4).flat_map(of_length)
}

/// Whether a rotate request for this id, if one can be made, reaches the rotate path of one endpoint and no other.
fn stays_in_its_segment(provider: &Arc<Provider>, id: &str) -> bool {
    let ids = [("id".to_owned(), id.to_owned())];
    let Ok(endpoint) = provider.endpoint(None, &ids, None, &BTreeMap::new()) else { return true };
    let request = request::rotate(&endpoint, None).expect("a call");
    let url = reqwest::Url::parse(&request.url).expect("a URL");
    let segments: Vec<_> = url.path().split('/').collect();
    url.as_str() == request.url
        && (url.query(), url.fragment(), url.host_str()) == (None, None, Some("api.signa.so"))
        && segments == ["", "v1", "webhooks", &encode_segment(id), "rotate-secret"]
}

#[test]
fn no_hostile_id_reaches_another_path() {
    let provider = Catalog::builtin().get("signa").expect("signa");
    let sound = |id: &String| assert!(stays_in_its_segment(&provider, id), "{id:?}");
    let count = hostile_ids().inspect(sound).count();
    assert!(count > 100_000, "{count}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_id_at_all_reaches_another_path(id in any::<String>()) {
        let provider = Catalog::builtin().get("signa").expect("signa");
        prop_assert!(stays_in_its_segment(&provider, &id));
    }
}
