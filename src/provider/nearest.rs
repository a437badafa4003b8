//! Finds what somebody probably meant to write.

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.75;

/// The known word that is most like this one, if one is alike enough.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate));
    let best = scored.filter(|(score, _)| *score >= ALIKE).max_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_likely_word_or_none() {
        assert_eq!(nearest("layer", ["signa", "layers"]).as_deref(), Some("layers"));
        assert_eq!(nearest("ApplicationID", ["webhookId", "applicationId"]).as_deref(), Some("applicationId"));
        assert_eq!(nearest("zzz", ["signa", "layers"]), None);
    }
}
