//! What a receiver's answers come to, in words. Pure.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Case;

/// A receiver's clock that is off by less is not worth a word.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// A receiver's answer to one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, or why there is none.
    pub status: Result<u16, String>,
    pub took: Duration,
    /// How far the receiver's clock, where it shows it, is ahead of the time in the probe.
    pub clock_ahead: Option<SignedDuration>,
}

/// A case and the answers to it, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub case: Case,
    pub answers: Vec<Answer>,
}

/// Everything that one receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub url: String,
    pub tried: Vec<Tried>,
    pub verdict: Verdict,
}

/// What a receiver accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    AcceptsBoth,
    NewOnly,
    OldOnly,
    /// The new secret; there was no old one to try.
    AcceptsNew,
    FirstSignatureOnly,
    AcceptsAnything,
    NoTimestampCheck,
    ComparesPrefix,
    RejectsAll,
    /// The same probe is accepted one time and refused another.
    Inconsistent,
    Unreachable,
    Redirects,
    /// It answers with errors that are no verdict on a signature.
    Failing,
    /// Its time was over before everything was tried.
    TooSlow,
    /// Too little was tried to say anything.
    Undecided,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::AcceptsBoth => "accepts both",
            Self::NewOnly => "new only",
            Self::OldOnly => "old only",
            Self::AcceptsNew => "accepts the new secret",
            Self::FirstSignatureOnly => "checks only the first signature",
            Self::AcceptsAnything => "accepts anything",
            Self::NoTimestampCheck => "no timestamp check",
            Self::ComparesPrefix => "compares a prefix",
            Self::RejectsAll => "rejects all",
            Self::Inconsistent => "answers differ",
            Self::Unreachable => "unreachable",
            Self::Redirects => "redirects",
            Self::Failing => "answers with errors",
            Self::TooSlow => "answers too slowly",
            Self::Undecided => "undecided",
        }
    }

    /// The verdict as what the receiver does, behind its address.
    pub fn finds(self) -> &'static str {
        match self {
            Self::AcceptsBoth => "accepts the old secret as well as the new one",
            Self::NewOnly => "accepts the new secret alone",
            Self::OldOnly => "accepts the old secret alone",
            Self::AcceptsNew => "accepts the new secret",
            Self::FirstSignatureOnly => "checks only the first signature",
            Self::AcceptsAnything => "accepts anything",
            Self::NoTimestampCheck => "checks no timestamp",
            Self::ComparesPrefix => "compares no more than a prefix",
            Self::RejectsAll => "rejects every secret",
            Self::Inconsistent => "accepts a secret one time and rejects it another",
            Self::Unreachable => "cannot be reached",
            Self::Redirects => "redirects",
            Self::Failing => "answers with errors",
            Self::TooSlow => "answers too slowly to be tried in every way",
            Self::Undecided => "has not been tried enough",
        }
    }

    /// What it means for the operator, and what to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AcceptsBoth => "ready for either secret; it has to drop the old one in the end",
            Self::NewOnly => "it knows the new secret alone",
            Self::OldOnly => "it does not know the new secret yet: deploy it there",
            Self::AcceptsNew => "no old secret was tried",
            Self::FirstSignatureOnly => {
                "in the overlap it fails where the new signature is not first: compare all of them"
            }
            Self::AcceptsAnything => "whoever knows the address can forge deliveries: it does not verify at all",
            Self::NoTimestampCheck => "an old delivery can be sent again: refuse timestamps outside the tolerance",
            Self::ComparesPrefix => "a part of a signature is enough to forge one: compare the whole, in constant time",
            Self::RejectsAll => {
                "no secret that whsec knows is accepted: is this the right address, and does it read the right slot?"
            }
            Self::Inconsistent => {
                "not every machine behind it has the same secret: wait for the deploy to end, then probe again"
            }
            Self::Unreachable => "nothing answers there from here: nothing is proved",
            Self::Redirects => {
                "redirects are not followed, and most providers do not either: name the address it leads to"
            }
            Self::Failing => {
                "404, 408, 429 and 5xx say nothing about a signature: is it the right address, is it up, does it limit the rate?"
            }
            Self::TooSlow => {
                "a receiver is asked for a minute at most, and this one was not through: nothing is proved; verify a delivery, or \
                 try fewer cases (--with)"
            }
            Self::Undecided => "try the cases `new` and `garbage` at least",
        }
    }
}

/// Whether all answers to a case were the same, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    Accepted,
    Refused,
    /// Accepted one time, and refused or not judged another.
    Mixed,
    /// Neither: no answer, or an error that is no verdict.
    Unclear,
}

impl Answer {
    /// Whether the delivery was accepted: a status of 2xx.
    pub fn is_accepted(&self) -> bool {
        self.status.as_ref().is_ok_and(|status| (200..300).contains(status))
    }

    /// Whether the delivery was refused for what it is. An overload, a rate limit or a wrong address refuses everybody.
    fn is_refused(&self) -> bool {
        let unclear = [404, 405, 408, 410, 425, 429];
        self.status.as_ref().is_ok_and(|status| (400..500).contains(status) && !unclear.contains(status))
    }

    /// Whether it is a status that says nothing about the delivery.
    fn is_error(&self) -> bool {
        self.status.is_ok() && !self.is_accepted() && !self.is_refused() && !self.is_redirect()
    }

    fn is_redirect(&self) -> bool {
        self.status.as_ref().is_ok_and(|status| (300..400).contains(status))
    }
}

impl Tried {
    /// Whether every answer accepted it; `None` where they differ.
    pub fn is_accepted(&self) -> Option<bool> {
        match self.sum() {
            Sum::Accepted => Some(true),
            Sum::Refused => Some(false),
            Sum::Mixed | Sum::Unclear => None,
        }
    }

    fn sum(&self) -> Sum {
        if self.answers.iter().all(Answer::is_accepted) {
            Sum::Accepted
        } else if self.answers.iter().all(Answer::is_refused) {
            Sum::Refused
        } else if self.answers.iter().any(Answer::is_accepted) {
            Sum::Mixed
        } else {
            Sum::Unclear
        }
    }
}

impl Report {
    /// Judges the answers.
    pub fn new(url: String, tried: Vec<Tried>) -> Self {
        let verdict = verdict(&tried);
        Self { url, tried, verdict }
    }

    /// Judges the answers of a receiver whose time was over before everything was tried: what it accepts is not proved, but
    /// whoever has accepted a forged one accepts anything.
    pub fn cut_short(url: String, tried: Vec<Tried>) -> Self {
        let verdict = match verdict(&tried) {
            Verdict::AcceptsAnything => Verdict::AcceptsAnything,
            _ => Verdict::TooSlow,
        };
        Self { url, tried, verdict }
    }

    /// Whether the new secret is accepted, and not just anything: `None` where that is not proved either way.
    pub fn accepts_new(&self) -> Option<bool> {
        match self.sum(Case::New)? {
            // In an overlap a provider may put either signature first.
            Sum::Accepted if self.tells_apart() && self.verdict != Verdict::FirstSignatureOnly => Some(true),
            // One machine of several that refuses it refuses deliveries.
            _ if self.some(Case::New, Answer::is_refused) => Some(false),
            _ => None,
        }
    }

    /// Whether the old secret is refused, by a receiver that works: `None` where that is not proved either way.
    pub fn rejects_old(&self) -> Option<bool> {
        match (self.sum(Case::Old)?, self.accepts_new()) {
            (Sum::Refused, Some(true)) => Some(true),
            _ if self.some(Case::Old, Answer::is_accepted) => Some(false),
            _ => None,
        }
    }

    /// How far the receiver's clock is ahead of the time in the probes, where that is more than a slow answer and whole
    /// seconds explain.
    pub fn clock_off(&self) -> Option<SignedDuration> {
        let answers = self.tried.iter().flat_map(|tried| &tried.answers);
        let nearest = answers.filter_map(|answer| answer.clock_ahead).min_by_key(|ahead| ahead.abs())?;
        (nearest.abs() >= CLOCK_SLACK).then_some(nearest)
    }

    /// The time that most answers took.
    pub fn took(&self) -> Option<Duration> {
        let answers = self.tried.iter().flat_map(|tried| &tried.answers);
        let mut times: Vec<_> = answers.filter(|answer| answer.status.is_ok()).map(|answer| answer.took).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Whether a forged delivery was tried and refused, without which acceptance proves nothing.
    fn tells_apart(&self) -> bool {
        let refused = |case| self.sum(case) == Some(Sum::Refused);
        let proves = !matches!(self.verdict, Verdict::AcceptsAnything | Verdict::TooSlow);
        proves && (refused(Case::Garbage) || refused(Case::Unsigned))
    }

    fn some(&self, case: Case, holds: fn(&Answer) -> bool) -> bool {
        self.tried.iter().any(|tried| tried.case == case && tried.answers.iter().any(holds))
    }

    fn sum(&self, case: Case) -> Option<Sum> {
        sum(&self.tried, case)
    }
}

fn sum(tried: &[Tried], case: Case) -> Option<Sum> {
    tried.iter().find(|tried| tried.case == case).map(Tried::sum)
}

/// The worst that the answers show; which secrets are accepted comes last.
fn verdict(tried: &[Tried]) -> Verdict {
    use Sum::{Accepted, Mixed, Refused, Unclear};
    let answers = || tried.iter().flat_map(|tried| &tried.answers);
    let of = |case| sum(tried, case);
    let some = |case| tried.iter().any(|tried| tried.case == case && tried.answers.iter().any(Answer::is_accepted));
    if answers().next().is_none() {
        return Verdict::Undecided;
    }
    if answers().all(|answer| answer.status.is_err()) {
        return Verdict::Unreachable;
    }
    if answers().any(Answer::is_redirect) {
        return Verdict::Redirects;
    }
    if some(Case::Unsigned) || some(Case::Garbage) {
        return Verdict::AcceptsAnything;
    }
    if answers().any(Answer::is_error) {
        return Verdict::Failing;
    }
    if tried.iter().any(|tried| matches!(tried.sum(), Mixed | Unclear)) {
        return Verdict::Inconsistent;
    }
    if some(Case::Empty) || some(Case::Prefix) {
        return Verdict::ComparesPrefix;
    }
    let (new, old) = (of(Case::New), of(Case::Old));
    if new == Some(Accepted) && of(Case::FirstWrong) == Some(Refused) {
        return Verdict::FirstSignatureOnly;
    }
    // Accepted while a fresh one is refused, it was fresh to a clock that is off.
    if new == Some(Accepted) && some(Case::Stale) {
        return Verdict::NoTimestampCheck;
    }
    match (new, old) {
        (Some(Accepted), Some(Accepted)) => Verdict::AcceptsBoth,
        (Some(Accepted), Some(Refused)) => Verdict::NewOnly,
        (Some(Refused), Some(Accepted)) => Verdict::OldOnly,
        (Some(Refused), Some(Refused) | None) => Verdict::RejectsAll,
        (Some(Accepted), None) => Verdict::AcceptsNew,
        _ => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: Result<u16, &str>) -> Answer {
        Answer { status: status.map_err(str::to_owned), took: Duration::ZERO, clock_ahead: None }
    }

    fn report(accepted: &[Case]) -> Report {
        let tried = Case::ALL.map(|case| {
            let status = Ok(if accepted.contains(&case) { 204 } else { 401 });
            Tried { case, answers: vec![answer(status)] }
        });
        Report::new(String::new(), tried.to_vec())
    }

    #[test]
    fn each_kind_of_receiver_has_its_verdict_and_only_proof_counts() {
        use Case::{Both, Empty, FirstWrong, Garbage, New, Old, Prefix, Stale, Unsigned};
        let yes = Some(true);
        let no = Some(false);
        type Row = (&'static [Case], Verdict, Option<bool>, Option<bool>);
        let rows: &[Row] = &[
            (&[New, Old, Both, FirstWrong], Verdict::AcceptsBoth, yes, no),
            (&[New, Both, FirstWrong], Verdict::NewOnly, yes, yes),
            (&[Old, Both], Verdict::OldOnly, no, no),
            (&[New, Old, Both], Verdict::FirstSignatureOnly, None, no),
            (&[New, Both], Verdict::FirstSignatureOnly, None, None),
            (&Case::ALL, Verdict::AcceptsAnything, None, no),
            (&[New, Old, Both, FirstWrong, Garbage, Stale, Empty, Prefix], Verdict::AcceptsAnything, None, no),
            (&[Unsigned], Verdict::AcceptsAnything, no, None),
            (&[New, Both, FirstWrong, Stale], Verdict::NoTimestampCheck, yes, yes),
            (&[New, Both, FirstWrong, Prefix], Verdict::ComparesPrefix, yes, yes),
            (&[New, Old, Both, FirstWrong, Empty], Verdict::ComparesPrefix, yes, no),
            (&[], Verdict::RejectsAll, no, None),
            (&[Stale], Verdict::RejectsAll, no, None),
        ];
        for (accepted, verdict, new, old) in rows {
            let report = report(accepted);
            assert_eq!(
                (report.verdict, report.accepts_new(), report.rejects_old()),
                (*verdict, *new, *old),
                "{accepted:?}"
            );
        }
    }

    #[test]
    fn a_limit_on_the_rate_is_no_refusal() {
        // Verifies nothing, and has had enough after the first three.
        let tried = Case::ALL.map(|case| {
            let status = Ok(if case == Case::New { 204 } else { 429 });
            Tried { case, answers: vec![answer(status)] }
        });
        let report = Report::new(String::new(), tried.to_vec());
        assert_eq!((report.verdict, report.accepts_new(), report.rejects_old()), (Verdict::Failing, None, None));
    }

    #[test]
    fn nothing_is_proved_by_redirects_silence_or_a_deploy_that_is_under_way() {
        let all = |answers: &[Answer]| {
            Report::new(String::new(), Case::ALL.map(|case| Tried { case, answers: answers.to_vec() }).to_vec())
        };
        let rows: [(&[Answer], Verdict); 5] = [
            (&[answer(Ok(429))], Verdict::Failing),
            (&[answer(Ok(503))], Verdict::Failing),
            (&[answer(Ok(404))], Verdict::Failing),
            (&[answer(Ok(307))], Verdict::Redirects),
            (&[answer(Err("refused"))], Verdict::Unreachable),
        ];
        for (answers, verdict) in rows {
            let report = all(answers);
            assert_eq!((report.verdict, report.accepts_new(), report.rejects_old()), (verdict, None, None));
        }
        let mut mixed = report(&[Case::New, Case::Both, Case::FirstWrong]);
        mixed.tried[0].answers.push(answer(Ok(401)));
        let mixed = Report::new(String::new(), mixed.tried);
        let found = (mixed.verdict, mixed.accepts_new(), mixed.rejects_old());
        assert_eq!(found, (Verdict::Inconsistent, Some(false), None), "one machine refuses it");
    }
}
