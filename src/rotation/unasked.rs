//! What a provider did not tell, and why; and what it was found to tell of somebody else's secret.

/// Why the provider was not asked, or did not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// No call for it is described.
    NoCall,
    NoKey,
    /// It refuses the key.
    Refused(String),
    /// It does not know the endpoint.
    NotFound(String),
    /// It could not be reached, or its answer says nothing.
    Failed(String),
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCall => f.write_str("it has no call for that"),
            Self::NoKey => f.write_str("no API key"),
            Self::Refused(why) | Self::NotFound(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Why the provider's clock is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unheard {
    Unasked(Unasked),
    /// Its answer has no time in it.
    NoDate,
    /// Its answers do not agree with each other.
    Unsteady,
}

impl std::fmt::Display for Unheard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked(unasked) => unasked.fmt(f),
            Self::NoDate => f.write_str("its answers bear no time"),
            Self::Unsteady => f.write_str("its answers disagree about the time"),
        }
    }
}

/// Where the other secret may be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Theirs {
    /// Whether the provider itself shows it.
    pub is_shown: bool,
    /// Slots that hold something which is neither ours nor the old one.
    pub held: Vec<String>,
}
