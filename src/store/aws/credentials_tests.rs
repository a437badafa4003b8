//! Who asks, from every place where AWS programs look for it.

use std::path::Path;

use serde_json::json;

use super::super::conformance::opened_in;
use super::super::{Slot, StoreError};
use super::tests::{Variable, environment};
use crate::secret::Secret;
use crate::servers::aws::{ACCESS_KEY, Aws, SECRET_KEY};
use crate::servers::http::{Answer, Server};

/// Credentials from anywhere but the variables, each of which has to lead to the secret.
fn reads(aws: &Aws, mut variables: Vec<Variable<'_>>, home: &Path) -> Result<Option<Secret>, StoreError> {
    variables.extend([
        ("AWS_ENDPOINT_URL", aws.server.url()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9".to_owned()),
    ]);
    opened_in("aws-sm:hooks", Path::new("/"), environment(&variables, Some(home.to_owned()))).get(Slot::Current)
}

#[test]
fn credentials_come_from_profiles_sso_programs_containers_and_machines() {
    let aws = Aws::start();
    aws.create("hooks", "live");
    let handed = json!({ "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": "t", "Expiration": "2099-01-01T00:00:00Z" });
    let (cloud, role) = (
        handed.to_string(),
        json!({ "roleCredentials": { "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "sessionToken": "t" } }),
    );
    let local = Server::start(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/federation/credentials?account_id=1234&role_name=ops") => {
            let fine = request.headers.get("x-amz-sso_bearer_token").is_some_and(|token| token == "sso-token");
            Answer::Json(if fine { 200 } else { 401 }, role.to_string())
        }
        ("GET", "/container") => Answer::Json(200, cloud.clone()),
        ("PUT", "/latest/api/token") => Answer::Json(200, "imds-token".to_owned()),
        ("GET", _) if request.headers.get("x-aws-ec2-metadata-token").is_none_or(|token| token != "imds-token") => {
            Answer::Json(401, String::new())
        }
        ("GET", "/latest/meta-data/iam/security-credentials/") => Answer::Json(200, "the-role".to_owned()),
        ("GET", "/latest/meta-data/iam/security-credentials/the-role") => Answer::Json(200, cloud.clone()),
        ("POST", "/sts") => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let fields = [
                "Action=AssumeRoleWithWebIdentity",
                "RoleArn=arn%3Aaws%3Aiam%3A%3A1234%3Arole%2Fwhsec",
                "WebIdentityToken=web-token",
            ];
            let fine =
                fields.iter().all(|field| body.contains(field)) && !request.headers.contains_key("authorization");
            let refused = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>".to_owned();
            let given = format!(
                "<R><Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
                 <SessionToken>t</SessionToken></Credentials></R>"
            );
            if fine { Answer::Json(200, given) } else { Answer::Json(400, refused) }
        }
        _ => Answer::Json(404, String::new()),
    });
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let program = format!("printf '%s' '{handed}'").replace('"', "\\\"");
    file(
        ".aws/config",
        &format!(
            "[default]\nregion = eu-west-1\n[profile keys]\nregion=eu-west-1 # here\n[profile sso]\nregion = eu-west-1\nsso_session = corp\n\
         sso_account_id = 1234\nsso_role_name = ops\n[sso-session corp]\nsso_start_url = https://corp.example/start/\nsso_region = eu-west-1\n\
         [profile program]\nregion = eu-west-1\ncredential_process = sh -c \"{program}\"\n"
        ),
    );
    file(
        ".aws/credentials",
        &format!("[keys]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"),
    );
    let named = |name: &str| vec![("AWS_PROFILE", name.to_owned()), ("AWS_ENDPOINT_URL_SSO", local.url())];
    let cases: Vec<(&str, Vec<Variable<'_>>)> = vec![
        ("a profile's keys", named("keys")),
        ("a program", named("program")),
        ("a container", vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", local.url()))]),
        ("the machine", vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", local.url())]),
        (
            "a machine that is switched on",
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", local.url()), ("AWS_EC2_METADATA_DISABLED", "False".to_owned())],
        ),
    ];
    for (what, variables) in cases {
        assert_eq!(reads(&aws, variables, home.path()).unwrap().unwrap().expose(), "live", "{what}");
    }
    let error = reads(&aws, named("sso"), home.path()).unwrap_err();
    assert!(error.to_string().contains("the SSO login has ended"), "{error}");
    assert_eq!(error.hint().unwrap().to_string(), "`aws sso login --profile sso`, then run it again");
    let login = |ends: &str| {
        format!(
            "{{\"startUrl\": \"https://corp.example/start\", \"accessToken\": \"sso-token\", \"expiresAt\": \"{ends}\"}}"
        )
    };
    file(".aws/sso/cache/a.json", &login("2020-01-01T00:00:00Z"));
    assert!(reads(&aws, named("sso"), home.path()).is_err());
    file(".aws/sso/cache/b.json", &login("2099-01-01T00:00:00Z"));
    assert_eq!(reads(&aws, named("sso"), home.path()).unwrap().unwrap().expose(), "live");
    // The token of a pod or of a job of CI; no program of AWS is there.
    let pod = |role: &str| {
        let token = home.path().join("token").display().to_string();
        let sts = ("AWS_ENDPOINT_URL_STS", format!("{}/sts", local.url()));
        vec![
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
            ("AWS_ROLE_ARN", role.to_owned()),
            sts,
        ]
    };
    let error = reads(&aws, pod("arn:aws:iam::1234:role/whsec"), home.path()).unwrap_err();
    assert!(error.to_string().contains("AWS_WEB_IDENTITY_TOKEN_FILE is missing"), "{error}");
    file("token", "web-token\n");
    assert_eq!(reads(&aws, pod("arn:aws:iam::1234:role/whsec"), home.path()).unwrap().unwrap().expose(), "live");
    let error = reads(&aws, pod("arn:aws:iam::1234:role/other"), home.path()).unwrap_err();
    assert!(error.to_string().contains("may not take on `arn:aws:iam::1234:role/other`"), "{error}");
    let error = reads(&aws, named("nobody"), home.path()).unwrap_err();
    assert!(error.to_string().contains("there is no AWS profile `nobody`"), "{error}");
    let error = reads(&aws, Vec::new(), home.path()).unwrap_err();
    assert!(error.to_string().contains("there are no AWS credentials"), "{error}");
}

#[test]
fn b1_the_machine_is_asked_only_where_somebody_says_that_it_is_one() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = "[profile machine]\nregion = eu-west-1\ncredential_source = Ec2InstanceMetadata\n[profile usual]\nregion = eu-west-1\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let (profile, switch) = ("AWS_PROFILE", "AWS_EC2_METADATA_DISABLED");
    let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[(profile, "usual")], false),
        (&[(switch, "true"), endpoint], false),
        (&[(switch, "TRUE"), (profile, "machine")], false),
        (&[(switch, "whatever")], false),
        (&[(switch, "false")], true),
        (&[(profile, "machine")], true),
        (&[endpoint], true),
    ];
    for (variables, asks) in cases {
        let variables: Vec<Variable<'_>> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let environment = environment(&variables, Some(home.path().to_owned()));
        let sts = crate::http::Url::parse("https://sts.eu-west-1.amazonaws.com").unwrap();
        let profile = super::profile::Profile::find("aws-sm:x", &environment).unwrap();
        let chain = super::credentials::Chain {
            store: "aws-sm:x",
            environment: &environment,
            profile: &profile,
            private: &[],
            sts: &sts,
        };
        assert_eq!(chain.asks_machine(), *asks, "{variables:?}");
    }
}
