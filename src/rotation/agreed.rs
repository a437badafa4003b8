//! What a person has agreed to in this process and nobody has to be asked again, while all that it rests on is looked at anew.

use super::operator::Doubt;

/// What somebody has agreed to for the removal, each to what was true then.
#[derive(Debug, Default)]
pub struct Agreed {
    /// The word for it, with its reason where one was given.
    pub(super) word: Option<Option<String>>,
    /// What speaks against it, and is no matter.
    pub(super) doubts: Vec<Doubt>,
    /// Whether a removal of the second that may have been under way is over.
    pub(super) has_outlasted: bool,
}
