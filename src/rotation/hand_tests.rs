//! A secret that a person has the provider make, by tables: when it is asked for, what is refused, and that none is lost.

use crate::rotation::fakes::{pass, print, secret};
use crate::rotation::operator::Reply;
use crate::rotation::seal::Sealed;
use crate::rotation::tests::time;
use crate::rotation::world::World;
use crate::rotation::{Call, Direction, Ending, Event, ExpirySource, Next, Outcome, Status, Step};

const ACME: &str = "version = 1\nname = \"acme\"\ntitle = \"Acme\"\nids = [\"id\"]\n\
                    [rotate]\nkind = \"hand\"\nwhere = \"the page of {id}: Roll\"\n\
                    secret = { form = \"text\", prefix = \"whsec_\" }\n\
                    [overlap]\nkind = \"fixed\"\nwindow = \"24h\"\n";

/// A person who gives these at the prompt, and says yes to all else.
fn ending() -> Option<Ending> {
    Some(Ending::ByHand { page: "the page".to_owned() })
}

fn world(direction: Direction, gifts: &[String]) -> World {
    let mut world = World::by_hand(direction, ACME);
    world.person.gifts = gifts.iter().cloned().collect();
    world.person.always = Some(Reply::Done { reason: None });
    world
}

/// The same out of a pipe: nobody can be asked, and nothing is waited for before it.
fn piped(direction: Direction, gift: &str) -> World {
    let mut world = world(direction, &[gift.to_owned()]);
    world.rotation.plan.steps.retain(|step| ![Step::Prepare, Step::Issue].contains(step));
    world.rotation.plan.steps.insert(0, Step::Issue);
    world.person.is_piped = true;
    world
}

fn text(letter: char) -> String {
    secret(letter).expose().to_owned()
}

#[test]
fn it_is_asked_for_when_all_else_is_ready_and_nothing_is_ever_sent() {
    for (direction, recorded) in [
        (
            Direction::Instant,
            "checked prepare:word given stage@a stage:tool promote@a promote:tool deploy:word verify:word retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::OverlapEither,
            "checked given stage@a stage:tool deploy:word verify:word wait:clock promote@a promote:tool retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::OverlapSwitch,
            "checked given stage@a stage:tool promote@a promote:tool deploy:word verify:word wait:clock retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::Contain,
            "checked given stage@a stage:tool promote@a promote:tool deploy:word verify:word drop:word wait:clock retire@a retire:tool closed:done",
        ),
    ] {
        let mut world = world(direction, &[text('n')]);
        assert_eq!(world.run(None), "finished", "{:?}", world.person.heard);
        assert_eq!((world.recorded().as_str(), world.slots().as_str()), (recorded, "-n-"), "{direction:?}");
        assert_eq!((world.sealed(), world.fake().calls.len()), ((false, false), 0));
        let known = world.journal.find(&world.rotation.plan.endpoint_key, world.rotation.id).unwrap().unwrap();
        assert_eq!((&known.done, &known.call), (&world.rotation.done, &world.rotation.call));
    }
}

#[test]
fn what_comes_out_of_a_pipe_is_sealed_before_anything_is_looked_at() {
    for direction in [Direction::Instant, Direction::OverlapEither] {
        let mut world = piped(direction, &text('n'));
        world.shelves[0].fail_after(0);
        assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("storefailed", "given"), "{direction:?}");
        assert_eq!((world.sealed().0, world.rotation.closed.is_none()), (true, true));
        assert_eq!(world.rotation.status(crate::rotation::fakes::now()), Status::Sealed);
        // Whoever goes on is not asked for it again.
        world.shelves[0].mend();
        assert_eq!(world.run(Some(Step::Stage)), "finished", "{:?}", world.person.heard);
        assert_eq!((world.slots().as_str(), world.person.gifts.len()), ("no-", 0));
        assert_eq!(world.person.heard.iter().filter(|heard| *heard == "? secret").count(), 1);
    }
}

#[test]
fn what_is_not_the_new_secret_is_asked_for_again_and_nothing_is_kept_of_it() {
    let short = "whsec_1".to_owned();
    for (wrong, why) in
        [(text('o'), "it is the one that is live"), (short, "7 characters"), ("x".repeat(32), "`whsec_`")]
    {
        let mut asked = world(Direction::Instant, &[wrong.clone(), text('n')]);
        assert_eq!(asked.run(Some(Step::Stage)), "finished");
        assert!(asked.heard(why) && asked.rotation.new_secret() == Some(&print('n')), "{:?}", asked.person.heard);

        let mut piped = piped(Direction::OverlapEither, &wrong);
        assert_eq!((piped.run(None).as_str(), piped.slots().as_str()), ("nottaken", "-o-"), "{why}");
        let closed = piped.rotation.closed.as_ref().map(|closed| closed.outcome);
        assert_eq!((closed, piped.sealed(), piped.rotation.applied), (Some(Outcome::Failed), (false, false), false));
        // Nothing of it is in the way of the next one: no overlap was begun.
        assert_eq!((piped.rotation.replaced_until(), &piped.rotation.call), (None, &Call::NotApplied));
    }
}

#[test]
fn a_secret_that_is_sealed_and_not_journaled_is_taken_and_not_asked_for() {
    for is_piped in [false, true] {
        let mut world = world(Direction::Instant, &[]);
        world.person.is_piped = is_piped;
        world.seals.seal(world.rotation.id, &Sealed::new(None, secret('n').expose())).unwrap();
        assert_eq!(world.run(Some(Step::Stage)), "finished", "{:?}", world.person.heard);
        assert_eq!((world.slots().as_str(), world.heard("? secret")), ("no-", false));
    }
}

#[test]
fn the_old_secret_ends_so_long_after_the_new_one_was_given_as_is_documented() {
    let mut it = world(Direction::OverlapEither, &[text('n')]);
    let _ = it.run(Some(Step::Check));
    pass(3600);
    assert_eq!(it.run(Some(Step::Stage)), "finished");
    assert_eq!(it.rotation.expires_at(), Some(time("2026-11-21T13:00:00Z")));
    assert_eq!(it.rotation.answered().unwrap().expires_source, ExpirySource::Documented);
    let mut it = world(Direction::Instant, &[text('n')]);
    assert_eq!(it.run(Some(Step::Stage)), "finished");
    assert_eq!((it.rotation.expires_at(), it.rotation.old_is_dead()), (None, true));
}

#[test]
fn nothing_is_asked_for_that_could_not_be_sealed() {
    let mut world = world(Direction::Instant, &[text('n')]);
    assert_eq!(world.run(Some(Step::Prepare)), "finished");
    std::fs::remove_dir_all(world.folder().join("seals")).unwrap();
    std::fs::write(world.folder().join("seals"), "no folder").unwrap();
    assert_eq!((world.run(None).as_str(), world.person.gifts.len()), ("sealcheck", 1), "{:?}", world.person.heard);
}

#[test]
fn a_secret_that_every_place_has_lost_is_asked_for_again() {
    let mut world = world(Direction::OverlapEither, &[text('n')]);
    assert_eq!(world.run(Some(Step::Stage)), "finished");
    world.shelves[0].put("-o-");
    world.person.always = None;
    assert_eq!(world.run(None), "person issue", "{:?}", world.person.heard);
    assert_eq!(world.rotation.next(crate::rotation::fakes::now()), Next::Ask(Step::Issue));
    // What is none does not end what is open.
    world.person.is_piped = true;
    world.person.gifts = ["whsec_1".to_owned()].into();
    assert_eq!((world.run(None).as_str(), world.rotation.closed.is_none()), ("nottaken", true));
    world.person.gifts = [text('n')].into();
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("person deploy", "no-"));
}

#[test]
fn of_two_that_are_given_at_once_the_one_that_is_journaled_counts() {
    for (theirs, came_to) in [('m', "nottaken"), ('n', "finished")] {
        let mut world = world(Direction::OverlapEither, &[text('n')]);
        assert_eq!(world.run(Some(Step::Check)), "finished");
        let others = world.others(vec![Event::Given { fingerprint: print(theirs) }]);
        world.person.others.push_back(others);
        let found = world.run(Some(Step::Issue));
        assert_eq!((found.as_str(), world.rotation.new_secret()), (came_to, Some(&print(theirs))));
        assert!(world.rotation.closed.is_none());
    }
}

#[test]
fn whoever_leaves_finds_everything_as_it_was() {
    let mut world = world(Direction::Instant, &[]);
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("person issue", "-o-"));
    assert_eq!(
        (world.rotation.status(crate::rotation::fakes::now()), world.sealed()),
        (Status::Planned, (false, false))
    );
}

#[test]
fn the_old_secret_is_ended_by_a_person_and_nothing_of_it_is_forgotten_before() {
    let acme = ACME.replace("kind = \"fixed\"\nwindow = \"24h\"", "kind = \"until-ended\"\nsigns = \"old\"")
        + "[end]\nkind = \"hand\"\nwhere = \"the page of {id}: Revoke\"\nsettles = \"1h\"\n";
    let through = "checked given stage@a stage:tool deploy:word verify:word end:word wait:clock promote@a promote:tool retire@a retire:tool drop:word closed:done";
    for (settles, recorded) in [(Some(3600), through.to_owned()), (None, through.replace("wait:clock ", ""))] {
        let mut world = World::by_hand(Direction::UntilEnded, &acme);
        let plan = &mut world.rotation.plan;
        (plan.overlap, plan.ending) = (None, ending());
        plan.settles = settles.map(std::time::Duration::from_secs);
        if settles.is_none() {
            plan.steps.retain(|step| *step != Step::Wait);
        }
        world.person.gifts = [text('n')].into();
        world.person.always = Some(Reply::Done { reason: None });
        assert_eq!(world.run(Some(Step::Verify)), "finished", "{:?}", world.person.heard);
        // As long as nobody has ended it, it lives and stays where it is.
        pass(10 * 24 * 3600);
        let now = crate::rotation::fakes::now();
        assert_eq!((world.rotation.next(now), world.slots().as_str()), (Next::Ask(Step::End), "no-"));
        assert_eq!((world.rotation.expires_at(), world.rotation.old_secret_lives(now)), (None, true));
        assert!(!world.rotation.old_is_dead());
        assert_eq!(world.run(Some(Step::End)), "finished");
        let ends = now + jiff::SignedDuration::from_secs(settles.unwrap_or(0) as i64);
        assert_eq!((world.rotation.expires_at(), world.rotation.old_is_dead()), (Some(ends), settles.is_none()));
        assert!(world.process(|runner| runner.roll_back(None)).is_err());
        assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("finished", "-n-"));
        assert_eq!(world.recorded(), recorded);
    }
}

#[test]
fn the_old_secret_is_not_said_to_be_ended_over_a_receiver_that_refuses_the_new_one() {
    let signature = r#"signature = { grammar = "t=,v1=", header = "X-Signature", signed = "{timestamp}.{body}", encoding = "hex", key = "raw", tolerance = "300s" }"#;
    let acme = ACME.replace("kind = \"fixed\"\nwindow = \"24h\"", "kind = \"until-ended\"");
    let acme =
        acme.replace("[rotate]", &format!("{signature}\n[rotate]")) + "[end]\nkind = \"hand\"\nwhere = \"Revoke\"\n";
    const A: &str = "https://a.test/";
    for (takes, reason, came_to) in
        [("on", None, "finished"), ("o", None, "contradicted"), ("o", Some("it is a test"), "finished")]
    {
        let mut world = World::by_hand(Direction::UntilEnded, &acme);
        (world.rotation.plan.overlap, world.rotation.plan.ending) = (None, ending());
        world.person.gifts = [text('n')].into();
        world.person.always = Some(Reply::Done { reason: None });
        assert_eq!(world.run(Some(Step::Verify)), "finished");
        let mut world = world.probing(&[(A, takes)]);
        world.person.always = Some(Reply::Done { reason: reason.map(str::to_owned) });
        assert_eq!(world.run(Some(Step::End)), came_to, "{takes}: {:?}", world.person.heard);
        assert_eq!(world.rotation.done.contains_key(&Step::End), came_to == "finished");
    }
}

#[test]
fn the_old_secret_is_not_ended_for_one_that_is_said_to_have_leaked() {
    let acme = ACME.replace("kind = \"fixed\"\nwindow = \"24h\"", "kind = \"until-ended\"")
        + "[end]\nkind = \"hand\"\nwhere = \"Revoke\"\n";
    let mut world = World::by_hand(Direction::UntilEnded, &acme);
    (world.rotation.plan.overlap, world.rotation.plan.ending) = (None, ending());
    world.person.gifts = [text('n')].into();
    world.person.always = Some(Reply::Done { reason: None });
    assert_eq!(world.run(Some(Step::Verify)), "finished");
    world.journals(&[Event::LeakDeclared { reason: "a log".to_owned(), leaked: [print('n')].into() }]);
    world.person.always = None;
    assert_eq!(world.run(Some(Step::End)), "doubtful", "{:?}", world.person.heard);
    assert!(!world.heard("? end"));
}

#[test]
fn what_is_live_and_dead_is_replaced_before_anybody_ends_anything() {
    let mut it = crate::rotation::tests::rotation(Direction::UntilEnded);
    let before = crate::rotation::Evidence { dead_since: Some(time("2026-11-19T12:00:00Z")), ..Default::default() };
    it.fold(&crate::rotation::Entry {
        at: time("2026-11-20T12:00:00Z"),
        by: "ana".to_owned(),
        event: Event::Checked { before },
    });
    let at = |step| it.plan.steps.iter().position(|other| *other == step);
    assert!(
        at(Step::Stage) < at(Step::Promote) && at(Step::Promote) < at(Step::Deploy) && at(Step::Deploy) < at(Step::End)
    );
    assert_eq!(it.plan.steps.len(), Direction::UntilEnded.steps().len());
}

#[test]
fn nothing_is_asked_for_while_another_rotations_old_secret_lives() {
    let mut first = piped(Direction::OverlapEither, &text('n'));
    assert_eq!(first.run(Some(Step::Stage)), "finished");
    first.journals(&[Event::Closed { outcome: Outcome::Abandoned, reason: None }]);
    let plan = first.rotation.plan.clone();
    first.rotation = crate::rotation::Rotation::new(uuid::Uuid::new_v4(), plan, crate::rotation::fakes::now());
    first.person.gifts = [text('m')].into();
    assert_eq!((first.run(None).as_str(), first.person.gifts.len()), ("overlapopen", 1), "{:?}", first.person.heard);
}
