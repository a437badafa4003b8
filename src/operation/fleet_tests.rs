//! The course of a run: nothing is begun beyond what its rules allow, whichever order things come to rest in.

use super::*;

fn items(count: usize, providers: usize) -> Vec<Item> {
    let item = |at: usize| Item {
        name: format!("t{at}"),
        provider: format!("p{}", at % providers),
        places: vec![format!("/srv/{}", at % 3)],
    };
    (0..count).map(item).collect()
}

fn rules(jobs: usize, canary: Canary, wave: Option<Share>, most: Option<Share>) -> Rules {
    Rules { jobs: NonZeroUsize::new(jobs).unwrap(), canary, wave, max_failures: most }
}

fn count(count: usize) -> Share {
    Share::Count(NonZeroUsize::new(count).unwrap())
}

/// Numbers that look like chance, the same ones for a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Plays a run to its end: what was begun in which order, and what each came to.
fn played(
    course: &mut Course,
    chance: &mut Chance,
    comes: impl Fn(usize, &mut Chance) -> (Outcome, Option<Kind>),
) -> Vec<(usize, Outcome)> {
    let (mut under_way, mut came) = (Vec::new(), Vec::new());
    loop {
        match course.come_next() {
            Next::Begin(at) => under_way.push(at),
            Next::Pause => course.goes_on(),
            Next::Over if under_way.is_empty() => return came,
            Next::Over | Next::Wait => {
                let at = under_way.swap_remove(chance.below(under_way.len()));
                let (outcome, kind) = comes(at, chance);
                course.came(at, outcome, kind);
                came.push((at, outcome));
            }
        }
    }
}

/// T4 of the contract: as soon as N have failed, no further one is begun.
#[test]
fn after_as_many_failures_as_may_be_none_is_begun() {
    let mut cases = 0;
    for size in 1..=40 {
        for most in 1..=5 {
            for jobs in [1, 4, 8] {
                for seed in 0..4_u64 {
                    let mut chance = Chance(seed * 7919 + size as u64 * 31 + most as u64 * 7 + jobs as u64);
                    let rules = rules(jobs, Canary::Count(0), None, Some(count(most)));
                    let mut course = Course::new(items(size, 1), &rules);
                    let came = played(&mut course, &mut chance, |_, chance| {
                        if chance.below(3) == 0 { (Outcome::Failed, None) } else { (Outcome::Stored, None) }
                    });
                    let nth =
                        came.iter().enumerate().filter(|(_, (_, outcome))| *outcome == Outcome::Failed).nth(most - 1);
                    if let Some((at, _)) = nth {
                        // Those that were under way come to rest; nothing else does.
                        assert!(came.len() < at + 1 + jobs, "size {size} most {most} jobs {jobs} seed {seed}");
                    } else {
                        assert_eq!(came.len(), size);
                    }
                    assert_eq!(came.len() + course.left().len(), size);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 2400);
}

#[test]
fn those_that_go_first_are_through_before_another_is_begun() {
    for jobs in [1, 4, 8] {
        let mut course = Course::new(items(40, 4), &rules(jobs, Canary::Usual, Some(Share::Percent(25)), None));
        let sizes: Vec<usize> = course.waves().iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 10, 10, 10, 6], "one of each provider, then a quarter at a time");
        let came = played(&mut course, &mut Chance(9), |_, _| (Outcome::Stored, None));
        let waves: Vec<usize> = came.iter().map(|(at, _)| course.wave_of(*at)).collect();
        assert!(waves.is_sorted(), "{waves:?}");
    }
    let few = Course::new(items(5, 2), &rules(8, Canary::Usual, None, None));
    assert_eq!(few.waves().len(), 1, "of a few none goes first");
    let named = rules(8, Canary::Named(vec!["t3".to_owned()]), None, None);
    assert_eq!(Course::new(items(5, 2), &named).waves()[0], [3]);
}

/// T9: one that goes first fails.
#[test]
fn where_one_that_goes_first_fails_none_follows() {
    let mut course = Course::new(items(40, 4), &rules(8, Canary::Usual, None, Some(count(30))));
    let came =
        played(
            &mut course,
            &mut Chance(3),
            |at, _| {
                if at == 2 { (Outcome::Failed, None) } else { (Outcome::Stored, None) }
            },
        );
    assert_eq!((came.len(), course.left().len()), (4, 36));
    assert!(course.stopped().unwrap().contains("those that go first has failed"), "{:?}", course.stopped());
}

/// T8: what is wrong with one provider, or with one place, is no matter of the others.
#[test]
fn a_provider_that_refuses_is_left_alone_and_others_go_on() {
    for (kind, outcome, times) in [
        (Kind::Auth, Outcome::Failed, 1),
        (Kind::Unknown, Outcome::Unknown, 1),
        (Kind::Unavailable, Outcome::NotBegun, 3),
    ] {
        let mut course = Course::new(items(30, 3), &rules(1, Canary::Count(0), None, Some(count(30))));
        let came = played(&mut course, &mut Chance(1), |at, _| {
            if at % 3 == 1 { (outcome, Some(kind)) } else { (Outcome::Stored, None) }
        });
        let at_it = came.iter().filter(|(at, _)| at % 3 == 1).count();
        assert_eq!((at_it, came.len()), (times, 20 + times), "{kind:?}");
        assert!(course.left().iter().all(|(at, _)| at % 3 == 1), "{kind:?}");
    }
    let mut course = Course::new(items(30, 1), &rules(1, Canary::Count(0), None, Some(count(30))));
    let came = played(&mut course, &mut Chance(1), |at, _| {
        if at == 4 { (Outcome::Sealed, Some(Kind::Sealed)) } else { (Outcome::Stored, None) }
    });
    // t4 is in the second of three places.
    assert_eq!(came.len(), 30 - 8);
    assert!(course.left().iter().all(|(at, why)| at % 3 == 1 && why.contains("`t4` could not be kept there: /srv/1")));
}

#[test]
fn a_provider_whose_first_one_cannot_be_reached_is_left_alone_at_once() {
    let mut course = Course::new(items(40, 4), &rules(8, Canary::Usual, None, None));
    let came = played(&mut course, &mut Chance(5), |at, _| {
        if at % 4 == 1 { (Outcome::NotBegun, Some(Kind::Unavailable)) } else { (Outcome::Stored, None) }
    });
    assert_eq!((came.len(), course.left().len(), course.stopped()), (31, 9, None));
    assert!(course.left().iter().all(|(at, why)| at % 4 == 1 && why.contains("`t1`, which goes first")));
}

#[test]
fn a_provider_that_is_reached_now_and_then_is_not_left_alone() {
    let mut course = Course::new(items(30, 1), &rules(1, Canary::Count(0), None, Some(count(30))));
    let came = played(&mut course, &mut Chance(1), |at, _| {
        if at % 3 == 2 { (Outcome::Stored, None) } else { (Outcome::NotBegun, Some(Kind::Unavailable)) }
    });
    assert_eq!(came.len(), 30, "never three in a row");
}

#[test]
fn a_part_is_of_all_and_rounded_up() {
    for (percent, all, most) in [(5, 412, 21), (5, 1, 1), (25, 40, 10), (100, 7, 7), (1, 0, 1)] {
        assert_eq!(Share::Percent(percent).of(all), most);
    }
}
