//! `whsec import`: targets out of a table, all of them or none.

use crate::sandbox::{Run, Sandbox};

const TABLE: &str = "target,endpoint,store,receivers,owner,labels,max_age\n\
    pay,layers/d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411,keychain:pay;dotenv:./pay.env#KEY,https://a.example/h;https://b.example/h,\"Ops, late\",env=prod;tier=1,90d\n\
    \n\
    ship,layers/d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4412,keychain:ship,,,,\n";

fn import(sandbox: &Sandbox, table: &str, arguments: &[&str]) -> Run {
    std::fs::write(sandbox.path("work/table.csv"), table).unwrap();
    let line: Vec<&str> = ["import", "table.csv"].iter().chain(arguments).copied().collect();
    sandbox.run(&line)
}

#[test]
fn a_table_becomes_targets_and_a_second_time_nothing_changes() {
    let sandbox = Sandbox::new("layers");
    let mine = format!("# mine\n{}\n# at the end\n", sandbox.config_text());
    sandbox.config(&mine);
    let shown = import(&sandbox, TABLE, &["--dry-run"]).exits(0);
    assert!(shown.stdout.contains("+ [targets.pay]\n") && shown.stderr.contains("2 new\n"), "{shown:?}");
    assert_eq!(sandbox.config_text(), mine, "shown only");
    // Nobody is there to ask.
    import(&sandbox, TABLE, &[]).exits(2).says("--yes");
    assert_eq!(sandbox.config_text(), mine);
    let done = import(&sandbox, TABLE, &["--yes", "--json"]).exits(0).json();
    assert_eq!((&done["written"], done["added"].as_array().unwrap().len()), (&true.into(), 2), "{done}");
    let text = sandbox.config_text();
    assert!(text.starts_with("# mine\n") && text.contains("# at the end") && text.contains(&mine[7..60]), "{text}");
    let target = sandbox.run(&["target", "show", "pay", "--json"]).exits(0).json();
    assert_eq!(target["endpoint"], "d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411", "{target}");
    assert_eq!((&target["owner"], &target["max_age"]), (&"Ops, late".into(), &"90d".into()), "{target}");
    let dotenv = format!(
        "dotenv:{}#KEY",
        sandbox.path("work/pay.env").canonicalize().unwrap_or(sandbox.path("work/pay.env")).display()
    );
    assert_eq!(target["stores"], serde_json::json!(["keychain:pay", dotenv]), "{target}");
    assert!(text.contains("labels = { env = \"prod\", tier = \"1\" }"), "{text}");

    let again = import(&sandbox, TABLE, &["--json"]).exits(0).json();
    assert_eq!((&again["written"], again["unchanged"].as_array().unwrap().len()), (&false.into(), 2), "{again}");
    // What a row leaves open is nobody's business, and how a thing is written makes no difference.
    let other = TABLE.replace("\"Ops, late\"", "").replace("./pay.env", "pay.env").replace("90d", "2160h");
    import(&sandbox, &other, &["--yes"]).exits(0).says("0 new, 2 there already");
    assert_eq!(sandbox.config_text(), text);
    let run = import(&sandbox, &TABLE.replace("90d", "30d").replace("b.example", "c.example"), &["--yes"]).exits(2);
    assert!(
        run.stderr.contains("line 2: the target `pay` is in")
            && run.stderr.contains("differs in `receivers`, `max_age`"),
        "{run:?}"
    );
    run.says("change it there: `whsec target edit pay`, or take the line out");
    assert_eq!(sandbox.config_text(), text);
}

#[test]
fn stdin_is_a_table_as_well_and_so_are_a_mark_and_line_ends_of_windows() {
    let sandbox = Sandbox::new("layers");
    let table = format!("\u{feff}{}", TABLE.replace('\n', "\r\n"));
    let done = sandbox.run_with_stdin(&["import", "-", "--yes", "--json"], &table).exits(0).json();
    assert_eq!(done["added"], serde_json::json!(["pay", "ship"]), "{done}");
}

/// Each is named by its line, and one is enough for nothing to be written.
#[test]
fn every_line_that_cannot_be_used_is_named_and_nothing_is_written() {
    let sandbox = Sandbox::new("layers");
    let before = sandbox.config_text();
    let id = "layers/d4c71b62-7f08-4dc9-9d2c-8f7e2b9c44";
    let long = "3f9a8c7b6d5e4f3a2b1c";
    let table = [
        "target,endpoint,store,receivers,api_key,max_age,cutover,labels,owner".to_owned(),
        format!("good,{id}01,keychain:good,,,,,,"),
        format!("old,{id}02,keychain:old,,,soon,,,"),
        format!("two words,{id}03,keychain:x,,,,,,"),
        format!("short,{id}04,keychain:y"),
        "nobody,lairs/1,keychain:z,,,,,,".to_owned(),
        format!("good,{id}05,keychain:other,,,,,,"),
        format!("many,{id}06/more,keychain:m,,,,,,"),
        format!("plain,{id}07,keychain:p,http://a.example/h,,,,,"),
        format!("key,{id}08,keychain:k,,{long},,,,"),
        format!("how,{id}09,keychain:h,,,,maybe,,"),
        format!("same,{id}10,keychain:good,,,,,,"),
        format!("words,{id}11,keychain:w,,,,,env,"),
        format!("leak,{id}12,whsec_{long},,,,,,"),
        format!("slot,{id}13,keychain:good/good.next,,,,,,"),
        format!("who,{id}14,keychain:v,,,,,,{long}"),
        format!("where,{id}15,nowhere:{long},,,,,,"),
        ",,keychain:q,,,,,,".to_owned(),
    ]
    .join("\n");
    let run = import(&sandbox, &table, &["--yes", "--json"]).exits(2);
    assert!(!format!("{run:?}").contains(long), "what may be a secret is not repeated: {run:?}");
    let json = run.json();
    let lines = json["lines"].as_array().unwrap();
    let wanted = [
        (2, "`keychain:good`"),
        (3, "`max_age` is not a duration"),
        (4, "a target's name may hold"),
        (5, "has 3 fields, and the first line names 9 columns"),
        (6, "lairs"),
        (7, "is in line 2 as well"),
        (8, "has 2 ids, and is written layers/endpointId"),
        (9, "is not https"),
        (10, "never holds the key itself"),
        (11, "expected"),
        (12, "`keychain:good`"),
        (13, "NAME=VALUE"),
        (14, "`store` holds what could be a secret"),
        (16, "`owner` holds what could be a secret"),
        (17, "store"),
        (18, "a target's name"),
    ];
    for (line, words) in wanted {
        let found =
            lines.iter().find(|found| found["line"] == line).unwrap_or_else(|| panic!("no line {line}: {json}"));
        let message = found["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("line {line}: ")) && message.contains(words), "{found}");
        assert!(!message.contains("config.toml"), "{found}");
    }
    assert!(lines.len() >= wanted.len() && run.stderr.contains("cannot be taken, and nothing was written"), "{run:?}");
    assert_eq!(sandbox.config_text(), before);
}

/// As an editor counts them.
#[test]
fn a_line_is_counted_past_empty_ones_and_breaks_within_quotes() {
    let sandbox = Sandbox::new("layers");
    for end in ["\n", "\r\n"] {
        let table = [
            "target,endpoint,store,owner",
            "",
            "",
            "a,layers/1,keychain:a,\"one",
            "two\"",
            "b,layers/2,keychain:b",
            "",
            "c,lairs/3,,",
        ];
        let json = import(&sandbox, &table.join(end), &["--yes", "--json"]).exits(2).json();
        let lines: Vec<_> = json["lines"].as_array().unwrap().iter().map(|line| line["line"].clone()).collect();
        assert_eq!(lines, [6, 8], "{end:?}: {json}");
    }
}

#[test]
fn the_first_line_has_to_name_columns_that_there_are() {
    let sandbox = Sandbox::new("layers");
    for (head, words) in [
        ("", "is empty"),
        ("name,provider,id", "there is no key `name`"),
        ("target,provider,id,stor", "did you mean `store`?"),
        ("target;provider;id", "there is no key"),
        ("provider,id", "names no column `target`"),
        ("target,store", "names no column `provider`"),
        ("target,provider,id,id", "is there twice"),
        ("target,provider,id,signing_secret", "secrets and keys stay in their stores"),
        ("target,provider,id,whsec_0f3a9c7b6d5e", "secrets and keys stay in their stores"),
    ] {
        let run = import(&sandbox, &format!("{head}\na,b,c,d\n"), &["--yes"]);
        assert!(!format!("{run:?}").contains("0f3a9c7b6d5e"), "{run:?}");
        if head.is_empty() {
            import(&sandbox, "", &["--yes"]).exits(2).says(words);
        } else {
            run.exits(2).says(words);
        }
    }
    sandbox.run(&["import", "nowhere.csv"]).exits(2).says("cannot read");
}
