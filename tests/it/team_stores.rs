//! Whole rotations into the stores that teams read: servers that refuse before the call or fail after it, and what the
//! operator is told.

use std::process::Command;

use serde_json::json;

use crate::sandbox::{Run, Sandbox};
use crate::servers::aws::{self, Aws};
use crate::servers::vault::{Fault, TOKEN, Vault};

const DOCUMENT: &str = "app/hooks";

/// A sandbox whose target keeps its secret in Vault and in the dotenv file.
struct Scene {
    sandbox: Sandbox,
    vault: Vault,
}

impl Scene {
    fn new(provider: &str) -> Self {
        let (sandbox, vault) = (Sandbox::new(provider), Vault::start());
        vault.write(DOCUMENT, json!({ "key": sandbox.newest().expose(), "other": [1, 2] }));
        sandbox.stores(&["vault:secret/app/hooks#key", "dotenv:./receiver.env#HOOK_SECRET"]);
        Self { sandbox, vault }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("VAULT_ADDR", self.vault.server.url()).env("VAULT_TOKEN", TOKEN);
        command
    }

    fn run(&self, line: &str) -> Run {
        let run = self.command(&line.split_whitespace().collect::<Vec<_>>()).output().unwrap();
        let run = self.sandbox.watch(run);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(TOKEN), "the token came out");
        run
    }

    fn field(&self, name: &str) -> Option<String> {
        self.vault.document(DOCUMENT)?.get(name)?.as_str().map(str::to_owned)
    }
}

#[test]
fn a_rotation_goes_through_vault_and_leaves_the_rest_as_it_was() {
    let scene = Scene::new("signa");
    let old = scene.sandbox.newest();
    let run = scene.run("rotate hooks --yes --dry-run").exits(0);
    let place = format!("store     vault:secret/app/hooks#key at {}", scene.vault.server.url());
    assert!(run.stderr.contains(&place), "{}", run.stderr);
    scene.run("rotate hooks --yes").exits(0);
    let new = scene.sandbox.newest();
    assert_eq!(scene.field("key").as_deref(), Some(new.expose()));
    assert_eq!(scene.field("key_previous").as_deref(), Some(old.expose()));
    let run = scene.run("inspect hooks --json").exits(0);
    assert_eq!(run.json()["stores"][0]["current"], new.fingerprint().to_string());
    scene.run("rollback hooks --reason refused").exits(0);
    assert_eq!(scene.field("key").as_deref(), Some(old.expose()));
    assert_eq!(scene.vault.document(DOCUMENT).unwrap()["other"], json!([1, 2]));
}

#[test]
fn the_api_key_of_a_runner_that_has_nothing_comes_from_a_store() {
    let scene = Scene::new("signa");
    let key = scene.sandbox.api_key.expose();
    scene.vault.write("ops/signa", json!({ "api_key": key }));
    let file = scene.sandbox.path("key");
    scene.sandbox.edit_config(&format!("file:{}", file.display()), "vault:secret/ops/signa#api_key");
    std::fs::remove_file(file).unwrap();
    let run = scene.run("rotate hooks --yes").exits(0);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(key));
    assert_eq!(scene.field("key").as_deref(), Some(scene.sandbox.newest().expose()));
    let shown = scene.run("target show hooks").exits(0);
    assert!(shown.stdout.contains("vault:secret/ops/signa#api_key"), "{}", shown.stdout);
    // Nothing is read from elsewhere, and nothing is sent, where the store does not have it.
    let asked = scene.sandbox.requests();
    scene.vault.write("ops/signa", json!({ "api_key": "" }));
    let run = scene.run("force-rotate hooks --reason leaked --yes --confirm id0-7Qx");
    run.exits(3)
        .says("the store `vault:secret/ops/signa#api_key`, where the target says its API key is, has nothing there");
    scene.vault.fail(Some(Fault::Sealed));
    let run = scene.run("force-rotate hooks --reason leaked --yes --confirm id0-7Qx");
    run.exits(3).says("the API key cannot be read: `vault:secret/ops/signa#api_key`: Vault is sealed");
    assert_eq!(scene.sandbox.requests(), asked);
}

#[test]
fn what_vault_refuses_is_found_before_anything_is_sent() {
    let faults = [
        (Fault::Sealed, "Vault is sealed"),
        (Fault::ExpiredToken, "Vault does not accept the token"),
        (Fault::ReadOnly, "does not allow to write"),
        (Fault::Nothing, "does not allow to read"),
        (Fault::Throttled, "status 429"),
        (Fault::Truncates, "does not read back the same"),
    ];
    for (fault, why) in faults {
        let scene = Scene::new("layers");
        scene.vault.fail(Some(fault));
        let run = scene.run("rotate hooks --yes --json").exits(6).says(why).says("hint: ");
        assert_eq!(run.json()["error"]["kind"], "store");
        assert_eq!(scene.sandbox.rotate_requests().len(), 0, "{fault:?}");
        assert_eq!(scene.field("key").as_deref(), Some(scene.sandbox.newest().expose()));
    }
}

#[test]
fn the_seal_stays_until_every_store_has_the_secret() {
    for (fault, why) in [(Fault::Sealed, "Vault is sealed"), (Fault::ReadOnly, "does not allow to write")] {
        let scene = Scene::new("signa");
        let old = scene.sandbox.newest();
        // Two writes prove the store; the third would be the new secret's.
        scene.vault.fail_after(2, fault);
        let run = scene.run("rotate hooks --yes --json").exits(8).says(why).says("sealed in ");
        assert_eq!(
            (&run.json()["stores"][0]["state"], &run.json()["stores"][1]["state"]),
            (&json!("pending"), &json!("stored"))
        );
        assert_eq!(scene.sandbox.slots(&old), ["new", "old", "empty"], "nothing is live before all have it");
        scene.run("cutover hooks").exits(8).says(why);
        scene.vault.fail(None);
        scene.run("cutover hooks").exits(11);
        assert_eq!(scene.field("key").as_deref(), Some(scene.sandbox.newest().expose()));
        assert_eq!(scene.sandbox.slots(&old), ["empty", "new", "old"]);
        assert_eq!(scene.sandbox.rotations(), 1);
    }
}

#[test]
fn a_promote_that_fails_between_two_stores_is_completed_by_cutover() {
    let scene = Scene::new("signa");
    let old = scene.sandbox.newest();
    scene.vault.fail_after(3, Fault::ReadOnly);
    let run = scene.run("rotate hooks --yes --json").exits(8).says("the step `promote`");
    assert_eq!(run.json()["stores"][0]["slot"], "next");
    assert_eq!(
        (scene.field("key").as_deref(), scene.sandbox.slot("").unwrap()),
        (Some(old.expose()), scene.sandbox.newest())
    );
    scene.vault.fail(None);
    scene.run("cutover hooks").exits(11);
    assert_eq!(scene.field("key").as_deref(), Some(scene.sandbox.newest().expose()));
    assert_eq!(scene.field("key_next"), None);
}

#[test]
fn a_rotation_goes_on_only_with_the_server_that_it_was_begun_with() {
    let scene = Scene::new("layers");
    scene.run("rotate hooks --yes").exits(0);
    let other = Vault::start();
    let mut command = scene.command(&["cutover", "hooks", "--done", "deploy"]);
    command.env("VAULT_ADDR", other.server.url());
    scene.sandbox.watch(command.output().unwrap()).exits(6).says("the rotation was begun with it at http://127.0.0.1");
    assert_eq!(other.server.seen().len(), 0);
}

#[test]
fn a_checkout_cannot_name_a_server_or_a_document_on_one() {
    let scene = Scene::new("layers");
    let text = "[targets.theirs]\nprovider = \"layers\"\nid = \"abc\"\nstore = \"vault:secret/app/hooks#key\"\n";
    std::fs::write(scene.sandbox.path("work/whsec.toml"), text).unwrap();
    scene.run("inspect theirs").exits(2).says("whsec.toml");
    assert_eq!(scene.vault.server.seen().len(), 0);
}

/// A command with this AWS around it.
fn with_aws(sandbox: &Sandbox, aws: &Aws, line: &str) -> Run {
    let mut command = sandbox.command(&line.split_whitespace().collect::<Vec<_>>());
    command.env("AWS_ENDPOINT_URL", aws.server.url()).env("AWS_REGION", "eu-west-1");
    command.env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", aws::SECRET_KEY);
    let run = sandbox.watch(command.output().unwrap());
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(aws::SECRET_KEY), "the key came out");
    run
}

#[test]
fn a_rotation_at_aws_is_the_version_of_the_same_id() {
    let (sandbox, aws) = (Sandbox::new("signa"), Aws::start());
    let old = sandbox.newest();
    aws.create("prod/hooks", old.expose());
    sandbox.stores(&["aws-sm:prod/hooks"]);
    let json = with_aws(&sandbox, &aws, "rotate hooks --yes --json").exits(0).json();
    let (version, text) = aws.version("prod/hooks", "AWSCURRENT").unwrap();
    assert_eq!((version.as_str(), text.as_str()), (json["rotation"].as_str().unwrap(), sandbox.newest().expose()));
    assert_eq!(aws.text("prod/hooks", "AWSPREVIOUS").as_deref(), Some(old.expose()));
    with_aws(&sandbox, &aws, "rollback hooks --reason refused").exits(0);
    assert_eq!(aws.text("prod/hooks", "AWSCURRENT").as_deref(), Some(old.expose()));
    with_aws(&sandbox, &aws, "cutover hooks --yes").exits(11);
    assert_eq!(aws.version("prod/hooks", "AWSCURRENT").unwrap().0, version);
}

#[test]
fn what_aws_refuses_is_found_before_anything_is_sent_or_keeps_the_seal() {
    for (fault, why) in [
        (aws::Fault::Throttled, "AWS throttles the account"),
        (aws::Fault::ExpiredToken, "the AWS credentials have expired"),
        (aws::Fault::Denied("UpdateSecretVersionStage"), "not allowed to call UpdateSecretVersionStage"),
        (aws::Fault::Truncates, "does not read back the same"),
    ] {
        let (sandbox, aws) = (Sandbox::new("verifa"), Aws::start());
        let old = sandbox.newest();
        aws.create("prod/hooks", old.expose());
        sandbox.stores(&["aws-sm:prod/hooks", "dotenv:./receiver.env#HOOK_SECRET"]);
        let rotate = format!("rotate hooks --yes --confirm {} --done prepare --json", sandbox.id());
        aws.fail(Some(fault));
        with_aws(&sandbox, &aws, &rotate).exits(6).says(why);
        assert_eq!(
            (sandbox.rotate_requests().len(), aws.text("prod/hooks", "AWSCURRENT").as_deref()),
            (0, Some(old.expose()))
        );
        // The canary is put and cleared; then the secret itself is refused.
        aws.fail(None);
        aws.fail_after(2, fault);
        with_aws(&sandbox, &aws, &rotate).exits(8).says(why);
        assert_eq!(aws.text("prod/hooks", "AWSCURRENT").as_deref(), Some(old.expose()));
        with_aws(&sandbox, &aws, "cutover hooks").exits(8);
        aws.fail(None);
        with_aws(&sandbox, &aws, "cutover hooks").exits(11);
        assert_eq!(aws.text("prod/hooks", "AWSCURRENT").as_deref(), Some(sandbox.newest().expose()));
        assert_eq!(sandbox.rotations(), 1);
    }
}

#[test]
fn an_age_file_takes_a_rotation_and_is_for_the_team() {
    let sandbox = Sandbox::new("signa");
    sandbox.stores(&["age:./team.age", "dotenv:./receiver.env#HOOK_SECRET"]);
    let run = sandbox.run(&["rotate", "hooks", "--yes"]).exits(0).says("nobody but this machine can open");
    assert!(!run.stdout.contains("age1"));
    let json = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
    assert_eq!(json["stores"][0]["current"], sandbox.newest().fingerprint().to_string());
    let bytes = std::fs::read(sandbox.path("work/team.age")).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    let doctor = sandbox.run(&["doctor"]).stdout;
    let recipient = std::fs::read_to_string(sandbox.state().join("seal-recipient")).unwrap();
    assert!(doctor.contains(&format!("whose recipient is {}", recipient.trim())), "{doctor}");
    // A colleague's machine, which was not named.
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    let said = sandbox.run(&["inspect", "hooks"]).exits(0).stdout;
    assert!(said.contains("does not open with this machine's identity"), "{said}");
    sandbox.rotate().exits(6).says("does not open with this machine's identity");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_store_that_cannot_be_read_keeps_the_seal_until_it_is_borne_out() {
    for (others, borne_out) in [(&[][..], false), (&["dotenv:./receiver.env#HOOK_SECRET"][..], true)] {
        let sandbox = Sandbox::new("signa");
        let kept = sandbox.path("work/kept").display().to_string();
        let put = format!("[commands.blind]\nput = [\"sh\", \"-c\", \"cat > '{kept}'.$0\", \"{{slot}}\"]\n\n");
        sandbox.config(&format!("{put}{}", sandbox.config_text()));
        sandbox.stores(&[&["command:blind"][..], others].concat());
        sandbox.rotate().exits(0).says("`command:blind` cannot be read back");
        let new = sandbox.newest();
        assert_eq!(std::fs::read_to_string(format!("{kept}.current")).unwrap(), new.expose(), "it is live");
        let seals = || sandbox.leftovers().iter().filter(|path| path.to_string_lossy().ends_with(".age")).count();
        assert_eq!(seals(), usize::from(!borne_out), "sealed as long as its word is all there is");
        sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
        assert_eq!(seals(), usize::from(!borne_out));
        sandbox.run(&["cutover", "hooks", "--done", "verify"]).exits(11);
        assert_eq!(seals(), 0, "a delivery was verified");
    }
}

#[test]
fn b1_a_rotation_goes_on_only_in_the_account_that_it_was_begun_in() {
    let (sandbox, aws) = (Sandbox::new("layers"), Aws::start());
    let old = sandbox.newest();
    aws.create("prod/hooks", old.expose());
    sandbox.stores(&["aws-sm:prod/hooks"]);
    let run = with_aws(&sandbox, &aws, "rotate hooks --yes --dry-run").exits(0);
    run.says(&format!("account {} as arn:aws:iam::{}:user/ops", aws::ACCOUNT, aws::ACCOUNT));
    with_aws(&sandbox, &aws, "rotate hooks --yes").exits(0);
    let staged = aws.version("prod/hooks", "AWSPENDING");
    // The same name is another secret in the next login's account.
    aws.is_of("444455556666");
    for line in ["cutover hooks --done deploy", "finish hooks --override --reason r", "rollback hooks --reason r"] {
        with_aws(&sandbox, &aws, line).exits(6).says("the rotation was begun with it at http").says("444455556666");
    }
    assert_eq!(aws.version("prod/hooks", "AWSPENDING"), staged);
    assert_eq!(aws.text("prod/hooks", "AWSCURRENT").as_deref(), Some(old.expose()));
    aws.is_of(aws::ACCOUNT);
    with_aws(&sandbox, &aws, "cutover hooks --done deploy").exits(11);
}

/// Clusters, each a folder with its object and its address, and a `kubectl` that talks to the one of the context that it is
/// given, else of the current one. `between` is shell that is run after it has been asked where it leads.
struct Clusters {
    sandbox: Sandbox,
}

impl Clusters {
    fn new(between: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let clusters = Self { sandbox: Sandbox::new("layers") };
        let live = base64(clusters.sandbox.newest().expose());
        for name in ["ours", "theirs"] {
            let object = json!({ "kind": "Secret", "metadata": { "resourceVersion": "1" }, "data": { "key": live } });
            std::fs::create_dir_all(clusters.path(name)).unwrap();
            std::fs::write(clusters.path(&format!("{name}/object")), object.to_string()).unwrap();
            std::fs::write(clusters.path(&format!("{name}/server")), format!("https://{name}.example")).unwrap();
        }
        std::fs::write(clusters.path("current"), "ours").unwrap();
        let program = format!(
            "#!/bin/sh\ncd '{}'\nat=$(cat current)\nfor word; do case $word in --context=*) at=${{word#*=}};; esac; done\n\
             case \"$*\" in\n*'config view'*) printf '%s\\n%s' \"$at\" \"$(cat $at/server)\"; {between};;\n\
             *replace*) cat > $at/new && mv $at/new $at/object;;\n*) cat $at/object;;\nesac\n",
            clusters.path("").display()
        );
        std::fs::write(clusters.path("kubectl"), program).unwrap();
        std::fs::set_permissions(clusters.path("kubectl"), PermissionsExt::from_mode(0o755)).unwrap();
        clusters.sandbox.stores(&["k8s:pay/hooks#key"]);
        clusters
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.sandbox.path("clusters").join(name)
    }

    fn run(&self, line: &str) -> Run {
        let mut command = self.sandbox.command(&line.split_whitespace().collect::<Vec<_>>());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("").display()));
        self.sandbox.watch(command.output().unwrap())
    }

    /// The keys of a cluster's object.
    fn keys(&self, name: &str) -> Vec<String> {
        let object: serde_json::Value =
            serde_json::from_slice(&std::fs::read(self.path(&format!("{name}/object"))).unwrap()).unwrap();
        object["data"].as_object().unwrap().keys().cloned().collect()
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn b1_a_context_that_is_switched_meanwhile_changes_nothing() {
    let clusters = Clusters::new("printf theirs > current");
    clusters.run("rotate hooks --yes").exits(0);
    assert_eq!(clusters.keys("ours"), ["key", "key_next"]);
    assert_eq!(clusters.keys("theirs"), ["key"], "the other cluster got the secret");
    // Later the environment has to be what it was.
    clusters.run("cutover hooks --done deploy").exits(6).says("begun with it at https://ours.example");
}

#[test]
fn b1_a_context_that_leads_to_another_cluster_by_now_is_not_written_to() {
    // The name stays, and what it stands for changes once it has been looked at.
    let clusters = Clusters::new("printf https://other.example > ours/server");
    clusters.run("rotate hooks --yes").exits(6).says("`kubectl` now leads to https://other.example");
    assert_eq!(clusters.keys("ours"), ["key"]);
    assert_eq!(clusters.sandbox.rotations(), 0);
}

#[test]
fn a_store_that_keeps_what_was_live_shows_no_rotation_by_that() {
    let (sandbox, aws) = (Sandbox::new("hopae"), Aws::start());
    let old = sandbox.newest();
    aws.create("prod/hooks", old.expose());
    sandbox.stores(&["aws-sm:prod/hooks"]);
    let id = sandbox.id();
    with_aws(&sandbox, &aws, &format!("rotate hooks --yes --confirm {id} --done prepare")).exits(0);
    match &sandbox.journal {
        Some(_) => drop(sandbox.sql("DELETE FROM whsec.docs WHERE key <> 'journal.json'")),
        None => std::fs::remove_dir_all(sandbox.state()).unwrap(),
    }
    assert_eq!(aws.version("prod/hooks", "AWSPREVIOUS").unwrap().1, old.expose());
    let run = with_aws(&sandbox, &aws, "adopt hooks --reason gone").exits(4);
    run.says("keeps what was live before in any case").says("nothing is left to do: whsec inspect hooks");
}
