//! A secret of ours, by tables: when the provider is given it, what it is never given over, and what comes of a call for it.

use std::path::Path;
use std::sync::Arc;

use crate::rotation::fake_provider::Answer::{Cut, Lost, No, Off, Yes};
use crate::rotation::fake_provider::{mute_provider, provider_of};
use crate::rotation::fakes::{first_word, pass, secret};
use crate::rotation::operator::Reply;
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, Status, Step};
use crate::secret::Secret;
use crate::store::{Access, Slot, Store};

const A: &str = "https://a.test/";
const B: &str = "https://b.test/";

fn done(reason: Option<&str>) -> Reply {
    Reply::Done { reason: reason.map(str::to_owned) }
}

/// Addresses, with the secrets that are taken there.
type Receivers = [(&'static str, &'static str)];

/// One that is staged and deployed, with receivers that take these secrets; `?` is the new one.
fn deployed(receivers: &Receivers) -> World {
    let world = World::new(Direction::Set);
    world.fake().shows = &["updated_at"];
    let world = world.went_on_to(Step::Deploy).probing(receivers);
    let ours = world.shelves[0].get(Slot::Next).unwrap();
    world.fake().ours = ours;
    world
}

/// The secrets that the provider was given are all the one that is in the stores; how many there were.
fn given(world: &World) -> usize {
    let (fake, shelf) = (world.fake(), &world.shelves[0]);
    let ours = [Slot::Next, Slot::Current].map(|slot| shelf.get(slot).unwrap());
    assert!(fake.given.iter().all(|given| ours.contains(&Some(given.clone()))), "another one was given");
    fake.given.len()
}

#[test]
fn the_provider_is_given_it_only_once_every_receiver_was_seen_to_accept_it() {
    let through = "probed verify:probe sent1 answered shown promote@a promote:tool retire@a retire:tool probed";
    let table: &[(&Receivers, Option<Reply>, &str, &str, usize)] = &[
        (&[(A, "o?")], None, "person drop", through, 1),
        (&[(A, "o?"), (B, "?")], None, "person drop", through, 1),
        (&[(A, "o?"), (B, "o")], None, "person verify", "probed", 0),
        (&[(A, "o?"), (B, "o")], Some(done(None)), "contradicted", "probed probed", 0),
        // Nobody can be asked, and a bare word is none.
        (&[], Some(done(None)), "unproved", "", 0),
        (&[(A, "")], Some(done(None)), "contradicted", "probed probed", 0),
    ];
    for (receivers, said, came_to, recorded, calls) in table {
        let mut world = deployed(receivers);
        world.person.replies = said.iter().cloned().collect();
        let found = world.run(None);
        assert_eq!((found.as_str(), world.recorded().as_str()), (*came_to, *recorded), "{receivers:?} {said:?}");
        assert_eq!((given(&world), world.sealed().0), (*calls, *calls == 0), "{receivers:?} {said:?}");
    }
}

#[test]
fn what_was_seen_of_receivers_is_seen_again_right_before_the_call() {
    let mut world = deployed(&[(A, "o?")]);
    world.fake().answers = [No(422, "")].into();
    assert_eq!(world.run(None), "refused");
    assert_eq!(world.rotation.status(crate::rotation::fakes::now()), Status::Verified);
    world.fake().receivers.insert(A.to_owned(), "o");
    world.forget();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("person verify", "probed"));
    assert_eq!(world.fake().calls.iter().filter(|call| **call == "rotate").count(), 0);
    world.fake().receivers.insert(A.to_owned(), "o?");
    world.forget();
    assert_eq!(world.run(None), "person drop");
    assert_eq!(given(&world), 1);
}

#[test]
fn the_very_same_is_given_again_however_its_answer_was_lost_and_a_refusal_ends_nothing() {
    let rest = "answered shown promote@a promote:tool retire@a retire:tool probed";
    for (answers, came_to, recorded, again) in [
        (&[Yes][..], "person drop", format!("sent1 {rest}"), None),
        (&[Lost], "person drop", format!("sent1 lost sent2 {rest}"), None),
        (&[Cut, Lost, Lost], "person drop", format!("sent1 lost sent2 lost sent3 lost sent4 {rest}"), None),
        (&[No(503, ""), Lost], "person drop", format!("sent1 notapplied sent2 lost sent3 {rest}"), None),
        (
            &[Cut; 4],
            "lost",
            "sent1 lost sent2 lost sent3 lost sent4 lost".to_owned(),
            Some(format!("probed sent5 {rest}")),
        ),
        (&[Lost, No(422, "")], "lost", "sent1 lost sent2 lost".to_owned(), Some(format!("probed sent3 {rest}"))),
        (&[Lost, Off], "lost", "sent1 lost sent2 lost".to_owned(), Some(format!("probed sent3 {rest}"))),
        (&[No(422, "")], "refused", "sent1 notapplied".to_owned(), Some(format!("probed verify:probe sent2 {rest}"))),
        (&[Off], "notsent", "sent1 notapplied".to_owned(), Some(format!("probed verify:probe sent2 {rest}"))),
    ] {
        let mut world = deployed(&[(A, "o?")]);
        world.fake().answers = answers.to_vec().into();
        let found = world.run(None);
        let expected = format!("probed verify:probe {recorded}");
        assert_eq!((found.as_str(), world.recorded()), (came_to, expected), "{answers:?}");
        given(&world);
        if let Some(again) = again {
            assert_eq!((world.slots().as_str(), world.sealed().0), ("?o-", true), "{answers:?}");
            world.forget();
            pass(600);
            assert_eq!((world.run(None), world.recorded()), ("person drop".to_owned(), again), "{answers:?}");
            given(&world);
        }
        assert_eq!((world.slots().as_str(), world.sealed().0), ("-?-", false), "{answers:?}");
    }
}

#[test]
fn what_others_have_changed_is_asked_about_and_never_taken_for_our_own_call() {
    let (noon, soon, later) = ("2026-11-01T00:00:00Z", "2026-11-20T12:00:30Z", "2026-11-20T13:00:00Z");
    for (is_lost, updated_at, is_asked) in [
        (false, noon, false),
        (false, soon, true),
        (false, later, true),
        // A call of ours that was lost may be what changed it, while it was under way.
        (true, noon, false),
        (true, soon, false),
        (true, later, true),
    ] {
        for reason in [None, Some("it was the address")] {
            let mut world = deployed(&[(A, "o?")]);
            if is_lost {
                world.fake().answers = [Cut; 4].into();
                assert_eq!(world.run(None), "lost");
                pass(7200);
            }
            let before = given(&world);
            world.fake().updated_at = updated_at.to_owned();
            world.forget();
            world.person.replies = reason.filter(|_| is_asked).map(|reason| done(Some(reason))).into_iter().collect();
            let found = world.run(None);
            let is_stopped = is_asked && reason.is_none();
            let expected = if is_stopped { "doubtful" } else { "person drop" };
            assert_eq!(found, expected, "{is_lost} {updated_at} {reason:?} {:?}", world.person.heard);
            assert_eq!(given(&world) - before, usize::from(!is_stopped), "{is_lost} {updated_at} {reason:?}");
            assert_eq!(world.recorded().contains("overridden shown"), is_asked && reason.is_some());
        }
    }
}

#[test]
fn a_change_between_two_lost_calls_is_somebody_elses() {
    let mut world = deployed(&[(A, "o?")]);
    for _ in 0..2 {
        world.fake().answers = [Cut; 4].into();
        assert_eq!(world.run(None), "lost");
        pass(7200);
    }
    world.fake().updated_at = "2026-11-20T13:00:00Z".to_owned();
    assert_eq!((world.run(None).as_str(), given(&world)), ("doubtful", 0));
}

#[test]
fn where_nobody_can_look_what_is_there_is_not_replaced() {
    let mut world = deployed(&[(A, "o?")]);
    world.fake().looks = [No(503, "")].into();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("refused", "probed verify:probe"));
    assert_eq!(given(&world), 0);
    world.fake().answers = [Lost; 4].into();
    assert_eq!((world.run(None).as_str(), given(&world)), ("lost", 4));
    // Nor by a repetition; the seal stays meanwhile, whatever becomes of the stores.
    world.fake().looks = [No(503, "")].into();
    assert_eq!((world.run(None).as_str(), given(&world), world.sealed().0), ("lost", 4, true));
    world.shelves[0].put("-o-");
    assert_eq!((world.run(None).as_str(), given(&world)), ("person drop", 5));
}

#[test]
fn what_no_call_shows_is_replaced_unlooked_at() {
    let mut world = deployed(&[(A, "o?")]);
    world.endpoint.provider = mute_provider();
    assert_eq!((world.run(None).as_str(), given(&world)), ("person drop", 1));
    assert_eq!(world.fake().calls, ["rotate"]);
}

#[test]
fn receivers_that_are_back_at_the_old_one_are_in_the_way_whoever_is_asked_meanwhile() {
    // Proved once, refused by the provider, and meanwhile the receiver was rolled back; the person is asked without the lock.
    let mut world = deployed(&[(A, "o?")]);
    world.fake().answers = [No(422, "")].into();
    assert_eq!(world.run(None), "refused");
    world.fake().receivers.insert(A.to_owned(), "o");
    for reply in [Reply::LookAgain, done(None)] {
        world.person.others = [world.others(Vec::new())].into();
        world.person.replies = [reply].into();
        let found = world.run(None);
        assert!(["contradicted", "person verify"].contains(&found.as_str()), "{found}");
        assert_eq!(given(&world), 0);
    }
    // The same before a repetition: the first call may never have arrived.
    let mut world = deployed(&[(A, "o?")]);
    world.fake().answers = [Cut; 4].into();
    assert_eq!(world.run(None), "lost");
    world.fake().receivers.insert(A.to_owned(), "o");
    assert_eq!((world.run(None).as_str(), given(&world)), ("doubtful", 0));
    world.person.replies = [done(Some("nothing is delivered there"))].into();
    assert_eq!((world.run(None).as_str(), given(&world)), ("person drop", 1));
    assert!(world.recorded().contains(" overridden sent5 answered "), "{}", world.recorded());
    // Whoever gives the reason is told which receiver it is.
    let is_named = |heard: &String| heard.starts_with("! ") && heard.contains("a.test");
    assert!(world.person.heard.iter().any(is_named), "{:?}", world.person.heard);
}

#[test]
fn what_cannot_be_read_now_is_not_gone() {
    let mut world = deployed(&[]);
    world.seals.remove(world.rotation.id, None).unwrap();
    world.shelves[0].fail_after(0);
    world.person.always = Some(done(Some("by hand")));
    assert_eq!(world.run(None), "sealfailed");
    assert!(world.rotation.closed.is_none());
    world.shelves[0].mend();
    assert_eq!((world.run(None).as_str(), given(&world)), ("finished", 1));
}

#[test]
fn a_store_that_loses_it_before_the_call_gets_it_again_and_without_any_it_is_over() {
    let mut world = deployed(&[(A, "o")]);
    world.shelves[0].put("-o-");
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("person verify", "?o-"));
    // Somebody else's is left where it is, and given to nobody.
    world.shelves[0].put("xo-");
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("drift", "xo-"));
    world.shelves[0].put("-o-");
    world.seals.remove(world.rotation.id, None).unwrap();
    world.forget();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("notmade", "closed:failed"));
    assert_eq!(world.fake().given.len(), 0);
    let reason = world.rotation.closed.as_ref().and_then(|closed| closed.reason.as_deref()).unwrap_or_default();
    assert!(reason.contains("no store and no seal has the one that was made"), "{reason}");

    // After a call of which nobody knows what came, a person says it.
    let mut world = deployed(&[(A, "o?")]);
    world.fake().answers = [Cut; 4].into();
    assert_eq!(world.run(None), "lost");
    world.shelves[0].put("-o-");
    world.seals.remove(world.rotation.id, None).unwrap();
    world.forget();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("lost", ""));
    assert_eq!(world.fake().given.len(), 0, "nothing is made up in its place");
}

#[test]
fn what_was_sealed_before_a_crash_is_what_is_staged() {
    let mut world = World::new(Direction::Set).went_on_to(Step::Check);
    let ours = Secret::new("0123456789abcdef0123456789abcdef");
    let sealed = crate::rotation::seal::Sealed::new(None, ours.expose());
    world.seals.seal(world.rotation.id, &sealed).unwrap();
    assert_eq!(world.run(None), "person deploy");
    assert_eq!(world.shelves[0].get(Slot::Next).unwrap(), Some(ours.clone()));
    assert_eq!(world.rotation.new_secret(), Some(&ours.fingerprint()));
    assert_ne!(ours, secret('n'));
}

#[test]
fn before_the_call_stores_wait_for_each_other_and_after_it_none_does() {
    let two = [("a", Access::ReadWrite), ("b", Access::ReadWrite)];
    let begun = || {
        let mut world = World::with(Direction::Set, &two).went_on_to(Step::Deploy);
        world.person.always = Some(done(Some("tried by hand")));
        world
    };
    // Somebody else's live secret in one of them: nothing is given, and nothing goes live.
    let mut world = begun();
    let ours = world.shelves[1].get(Slot::Next).unwrap().unwrap();
    world.shelves[1].put("-y-");
    world.shelves[1].put_text(Slot::Next, ours.expose());
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("drift", "?o- ?y-"));
    assert_eq!(world.fake().given.len(), 0);

    // The old one is dead: one that is sick holds back no other.
    let mut world = begun();
    assert_eq!(world.run(Some(Step::Issue)), "finished");
    world.shelves[1].fail_after(0);
    assert_eq!(world.run(None), "storefailed");
    assert_eq!(world.slots(), "-?o ?o-");
    world.shelves[1].mend();
    world.person.always = Some(done(Some("tried by hand")));
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("finished", "-?- -?-"));
    assert_eq!(given(&world), 1);
}

#[test]
fn nothing_is_journaled_of_one_that_was_not_made_and_sealed_and_it_is_made_once() {
    for (is_taken, is_sealable, came_to, recorded) in
        [(true, true, "", "made"), (false, true, "notmade", ""), (true, false, "sealcheck", "")]
    {
        let mut world = World::new(Direction::Set).went_on_to(Step::Check);
        if !is_taken {
            world.endpoint.provider = provider_of();
        }
        if !is_sealable {
            let _ = std::fs::remove_dir_all(world.folder().join("seals"));
            std::fs::write(world.folder().join("seals"), "").unwrap();
        }
        let made = world.process(|runner| runner.make()).map_err(|error| first_word(&error));
        assert_eq!((made.err().unwrap_or_default().as_str(), world.recorded().as_str()), (came_to, recorded));
        assert_eq!((world.rotation.made.is_some(), world.sealed().0), (recorded == "made", recorded == "made"));
        if let Some(first) = world.rotation.made.clone() {
            // Where it is gone, another one is not what the stores wait for.
            world.seals.remove(world.rotation.id, None).unwrap();
            assert!(world.process(|runner| runner.make()).is_ok());
            assert_eq!((world.rotation.made.as_ref(), world.recorded().as_str()), (Some(&first), "made"));
        }
    }
}

#[test]
fn the_call_is_timed_by_the_look_right_before_it() {
    let mut world = deployed(&[]);
    world.fake().ahead = [3600].into();
    world.person.always = Some(done(Some("tried by hand")));
    assert_eq!(world.run(Some(Step::Issue)), "finished");
    assert_eq!(world.recorded(), "verify:word clockjumped sent1 answered");
    let sent = &world.rotation.sent[0];
    assert_eq!(sent.theirs.duration_since(sent.ours).as_secs(), 3600);
}

#[test]
fn receivers_are_asked_anew_once_somebody_was_asked_about_a_change() {
    for (takes, came_to, calls) in
        [(Some("o?"), "person drop", 1), (Some("o"), "contradicted", 0), (None, "unproved", 0)]
    {
        let mut world = deployed(&[(A, "o?")]);
        world.fake().updated_at = "2026-11-20T13:00:00Z".to_owned();
        let fake = Arc::clone(&world.fake);
        let others = move |_: &Path| {
            let found = takes.map(|takes| (A.to_owned(), takes));
            fake.lock().unwrap().receivers = found.into_iter().collect();
        };
        world.person.others.push_back(Box::new(others));
        world.person.replies = [done(Some("it was the address"))].into();
        assert_eq!((world.run(None).as_str(), given(&world)), (came_to, calls), "{takes:?}");
        assert!(world.recorded().starts_with("probed verify:probe doubted overridden shown probed"));
    }
}

#[test]
fn where_others_went_on_meanwhile_nothing_is_sent_and_one_process_begins_again_only_once() {
    let lost = |why: &str| Event::Lost { why: why.to_owned(), status: None };
    // Asked about a change, before the first call and before its repetition.
    let mut world = deployed(&[(A, "o?")]);
    world.fake().updated_at = "2026-11-20T13:00:00Z".to_owned();
    world.person.always = Some(done(Some("it was the address")));
    let sent = Event::Sent { attempt: 1, digest: String::new(), key: None };
    world.person.others = [vec![sent], vec![lost("one")], vec![lost("two")]].map(|events| world.others(events)).into();
    assert_eq!((world.run(None).as_str(), given(&world)), ("lost", 0));
    assert_eq!(world.recorded(), "probed verify:probe doubted");
    assert_eq!(world.person.others.len(), 1, "{:?}", world.person.heard);

    // Asked about receivers.
    let mut world = deployed(&[(A, "o?")]);
    world.fake().answers = [Cut; 4].into();
    assert_eq!(world.run(None), "lost");
    world.fake().receivers.insert(A.to_owned(), "o");
    world.forget();
    world.person.always = Some(done(Some("nothing is delivered there")));
    world.person.others = [world.others(vec![lost("one")])].into();
    assert_eq!((world.run(None).as_str(), given(&world)), ("lost", 0));
    assert_eq!(world.recorded(), "probed");

    // What has no attempt left sends nothing.
    world.fake().receivers.insert(A.to_owned(), "o?");
    let found = world.process(|runner| {
        runner.attempts_left = 0;
        runner.set_again()
    });
    assert_eq!((first_word(&found.unwrap_err()).as_str(), given(&world)), ("lost", 0));
}
