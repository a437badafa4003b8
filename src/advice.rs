//! What can be done about something, as a value: words, and among them commands of ours, each with its verb, its target and its flags.
//!
//! No error knows how a command is typed. Whoever shows the advice writes its commands: the command line with what was typed to
//! find config and state, another program however it calls the same operation.

use std::fmt;

use crate::shell;

/// Words with commands among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    parts: Vec<Part>,
}

/// A piece of an advice.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    /// A command within a sentence.
    Within(Command),
    /// A command that ends one, to be copied as it stands.
    Bare(Command),
    /// An option of the command that was just named, or of the one that is run.
    Flag(Flag),
}

/// A command of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub verb: Verb,
    pub on: On,
    pub flags: Vec<Flag>,
}

/// What a command acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// Nothing that is named.
    Nothing,
    /// The target at hand, which is known to whoever shows the advice.
    Here,
    /// This target: a name, PROVIDER/ID, or a rotation's own id.
    Target(String),
    /// These words, which are no target.
    Words(Vec<Value>),
}

/// An option of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub name: &'static str,
    pub value: Option<Value>,
    /// Whether name and value are one word, `--override=empty`.
    pub is_joined: bool,
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Given(String),
    /// It is left to whoever types it, and named by this: `TEXT`.
    Open(&'static str),
}

macro_rules! verbs {
    ($($verb:ident $name:literal,)+) => {
        /// The commands that are advised.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb {
            $($verb,)+
        }

        impl Verb {
            pub const ALL: &[Self] = &[$(Self::$verb,)+];

            /// As it is typed.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$verb => $name,)+
                }
            }
        }
    };
}

verbs! {
    Rotate "rotate",
    ForceRotate "force-rotate",
    Cutover "cutover",
    Inspect "inspect",
    Reveal "reveal",
    Abandon "abandon",
    Adopt "adopt",
    HandoffExport "handoff export",
    HandoffImport "handoff import",
    Rollback "rollback",
    Status "status",
    StoreCopy "store copy",
    TargetAdd "target add",
    TargetEdit "target edit",
    TargetList "target list",
    TargetRemove "target remove",
    TargetTrust "target trust",
    ProviderList "provider list",
    JournalInit "journal init",
    JournalMove "journal move",
    Login "login",
    Doctor "doctor",
}

impl Verb {
    /// On the target at hand.
    pub fn here(self) -> Command {
        self.command(On::Here)
    }

    /// On this target.
    pub fn of(self, target: impl Into<String>) -> Command {
        self.command(On::Target(target.into()))
    }

    /// On nothing that is named.
    pub fn alone(self) -> Command {
        self.command(On::Nothing)
    }

    /// On words that are no target.
    pub fn on(self, words: impl IntoIterator<Item = Value>) -> Command {
        self.command(On::Words(words.into_iter().collect()))
    }

    fn command(self, on: On) -> Command {
        Command { verb: self, on, flags: Vec::new() }
    }
}

impl Command {
    /// With an option that has no value.
    pub fn flag(self, name: &'static str) -> Self {
        self.and(Flag { name, value: None, is_joined: false })
    }

    /// With an option and its value.
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        self.and(Flag::with(name, value))
    }

    /// With an option whose value is left open.
    pub fn open(self, name: &'static str, value: &'static str) -> Self {
        self.and(Flag::open(name, value))
    }

    /// With an option and its value in one word.
    pub fn joined(self, name: &'static str, value: impl Into<String>) -> Self {
        self.and(Flag { is_joined: true, ..Flag::with(name, value) })
    }

    /// As the end of a sentence, without quotes.
    pub fn bare(self) -> Advice {
        Advice { parts: vec![Part::Bare(self)] }
    }

    /// The words behind the verb and what it acts on, as they are typed in a shell.
    pub fn options(&self) -> String {
        self.flags.iter().map(|flag| format!(" {flag}")).collect()
    }

    fn and(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }
}

impl Flag {
    /// An option and its value.
    pub fn with(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: Some(Value::Given(value.into())), is_joined: false }
    }

    /// An option whose value is left open.
    pub fn open(name: &'static str, value: &'static str) -> Self {
        Self { name, value: Some(Value::Open(value)), is_joined: false }
    }
}

impl Advice {
    /// One after the other.
    pub fn of(parts: impl IntoIterator<Item = Self>) -> Self {
        Self { parts: parts.into_iter().flat_map(|advice| advice.parts).collect() }
    }

    /// The same with its commands in words, as `write` writes them; `None` leaves one as it is.
    pub fn written(self, write: &dyn Fn(&Command) -> Option<String>) -> Self {
        let written = |part| match &part {
            Part::Within(command) => write(command).map_or(part, |line| Part::Words(format!("`{line}`"))),
            Part::Bare(command) => write(command).map_or(part, Part::Words),
            Part::Words(_) | Part::Flag(_) => part,
        };
        Self { parts: self.parts.into_iter().map(written).collect() }
    }

    /// The commands in it.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.parts.iter().filter_map(|part| match part {
            Part::Within(command) | Part::Bare(command) => Some(command),
            Part::Words(_) | Part::Flag(_) => None,
        })
    }
}

impl From<String> for Advice {
    fn from(words: String) -> Self {
        Self { parts: vec![Part::Words(words)] }
    }
}

impl From<&str> for Advice {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<Command> for Advice {
    fn from(command: Command) -> Self {
        Self { parts: vec![Part::Within(command)] }
    }
}

impl From<Flag> for Advice {
    fn from(flag: Flag) -> Self {
        Self { parts: vec![Part::Flag(flag)] }
    }
}

/// In words; a command that nobody has written stands as it is typed where nothing more is known than it says.
impl fmt::Display for Advice {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Words(words) => to.write_str(words),
            Part::Within(command) => write!(to, "`{command}`"),
            Part::Bare(command) => write!(to, "{command}"),
            Part::Flag(flag) => write!(to, "{flag}"),
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "whsec {}", self.verb.name())?;
        match &self.on {
            On::Nothing => {}
            On::Here => to.write_str(" TARGET")?,
            On::Target(name) => write!(to, " {}", shell::quoted(name))?,
            On::Words(words) => words.iter().try_for_each(|word| write!(to, " {word}"))?,
        }
        to.write_str(&self.options())
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            None => write!(to, "--{}", self.name),
            Some(value) => write!(to, "--{}{}{value}", self.name, if self.is_joined { "=" } else { " " }),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(word) => to.write_str(&shell::quoted(word)),
            Self::Open(name) => to.write_str(name),
        }
    }
}

/// An [`Advice`] of its parts: texts, commands, flags, and whole advices.
macro_rules! advice {
    ($($part:expr),+ $(,)?) => {
        $crate::advice::Advice::of([$($crate::advice::Advice::from($part)),+])
    };
}
pub(crate) use advice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advice_is_written_by_whoever_shows_it() {
        let advice = advice![
            "go on: ",
            Verb::Cutover.here().with("done", "a b").open("reason", "TEXT"),
            ", or ",
            Verb::Rotate.of("it's").joined("override", "empty").bare(),
            "; ",
            Flag::open("store", "REF"),
        ];
        let plain = "go on: `whsec cutover TARGET --done 'a b' --reason TEXT`, or whsec rotate \"it's\" --override=empty; --store REF";
        assert_eq!(advice.to_string(), plain);
        let here = |command: &Command| {
            let known = command.on == On::Here;
            known.then(|| format!("whsec {} -C x hooks{}", command.verb.name(), command.options()))
        };
        let written = advice.clone().written(&here).to_string();
        assert_eq!(written, plain.replace("cutover TARGET", "cutover -C x hooks"));
        assert_eq!(advice.commands().map(|command| command.verb).collect::<Vec<_>>(), [Verb::Cutover, Verb::Rotate]);
        assert_eq!(advice.clone().written(&here).commands().count(), 1);
        assert_eq!(advice!["a ", advice].commands().count(), 2);
    }
}
