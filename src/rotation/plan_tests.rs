//! The table of directions: what holds of every one.

use super::*;

const DIRECTIONS: [Direction; 8] = [
    Direction::OverlapEither,
    Direction::OverlapSwitch,
    Direction::Instant,
    Direction::Force,
    Direction::Contain,
    Direction::Set,
    Direction::SetSwitch,
    Direction::UntilEnded,
];

#[test]
fn every_direction_checks_first_and_seals_before_it_promotes() {
    for direction in DIRECTIONS {
        let steps = direction.steps();
        let at = |step| steps.iter().position(|&other| other == step);
        assert_eq!(at(Step::Check), Some(0));
        // What we have made ourselves is in the stores before anybody else has it.
        assert_eq!(at(Step::Stage) < at(Step::Issue), direction.is_set());
        assert!(at(Step::Issue) < at(Step::Promote) && at(Step::Stage) < at(Step::Promote));
        assert!(at(Step::Promote) < at(Step::Retire));
        assert!(at(Step::Deploy) < at(Step::Verify) && at(Step::Verify) < at(Step::Retire));
        assert!(at(Step::Verify) < at(Step::Drop), "nothing is dropped before the new secret is seen to work");
    }
}

#[test]
fn what_people_do_comes_before_the_clock_only_where_a_leak_is_contained() {
    for direction in DIRECTIONS {
        let steps = direction.steps();
        let at = |step| steps.iter().position(|&other| other == step);
        let is_contain = direction == Direction::Contain;
        // A leak does not wait for the overlap; otherwise receivers keep the old secret as long as deliveries may bear it alone.
        assert_eq!(at(Step::Drop) < at(Step::Wait), is_contain, "{direction:?}");
        assert_eq!(at(Step::Drop) == Some(steps.len() - 1), !is_contain, "{direction:?}");
        if is_contain {
            // The new secret goes live first, because it is deployed alone; after the drop nobody is needed any more.
            assert!(at(Step::Promote) < at(Step::Deploy));
            let after = steps.iter().skip_while(|step| **step != Step::Drop).skip(1);
            assert!(after.clone().all(|step| step.doer() != Doer::Person), "{direction:?}");
            assert_eq!(after.count(), 2);
        }
    }
}

#[test]
fn an_overlap_is_waited_out_before_the_old_secret_is_removed() {
    for direction in DIRECTIONS {
        let steps = direction.steps();
        let at = |step| steps.iter().position(|&other| other == step);
        assert_eq!(at(Step::Wait).is_some(), !direction.ends_old_secret());
        if at(Step::Wait).is_some() {
            assert!(at(Step::Wait) < at(Step::Retire));
        }
    }
}

/// The next one in the order of their declaration; the compiler asks for a new one.
fn after(direction: Direction) -> Option<Direction> {
    match direction {
        Direction::OverlapEither => Some(Direction::OverlapSwitch),
        Direction::OverlapSwitch => Some(Direction::Instant),
        Direction::Instant => Some(Direction::Force),
        Direction::Force => Some(Direction::Contain),
        Direction::Contain => Some(Direction::Set),
        Direction::Set => Some(Direction::SetSwitch),
        Direction::SetSwitch => Some(Direction::UntilEnded),
        Direction::UntilEnded => None,
    }
}

#[test]
fn every_step_of_every_direction_is_found_by_the_word_that_is_journaled() {
    for direction in std::iter::successors(Some(Direction::OverlapEither), |direction| after(*direction)) {
        assert_eq!(serde_json::to_value(direction).unwrap(), direction.name());
        for step in direction.steps() {
            assert_eq!(Step::named(step.name()), Some(*step), "{direction:?}");
            assert_eq!(serde_json::to_value(step).unwrap(), step.name());
        }
    }
}

#[test]
fn what_says_that_receivers_run_with_the_new_secret_comes_after_it_is_there() {
    for direction in std::iter::successors(Some(Direction::OverlapEither), |direction| after(*direction)) {
        let at = |wanted: Step| direction.steps().iter().position(|step| *step == wanted);
        for step in direction.steps().iter().filter(|step| step.is_of_new_secret()) {
            assert!(at(*step) > at(Step::Stage), "{direction:?}");
        }
    }
}
