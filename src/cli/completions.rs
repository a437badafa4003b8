//! `whsec completions`: the script that connects a shell to whsec's own completion.

use clap_complete::env::Shells;
use serde_json::json;

use super::exit::{Exit, Fault};
use super::result;
use super::session::Session;

/// Print the completion script for a shell
///
/// The script asks whsec itself, so that it offers your targets and providers too.
///
/// Examples:
///   whsec completions bash > ~/.local/share/bash-completion/completions/whsec
///   whsec completions zsh > "${fpath[1]}/_whsec"
///   whsec completions fish > ~/.config/fish/completions/whsec.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Choose the shell
    #[arg(value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
    shell: String,
}

/// The variable by which the script asks; `CompleteEnv` listens to it.
const VARIABLE: &str = "COMPLETE";

/// Prints the script.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written = shells
        .completer(&args.shell)
        .is_some_and(|shell| shell.write_registration(VARIABLE, "whsec", "whsec", "whsec", &mut script).is_ok());
    let script = String::from_utf8(script).unwrap_or_default();
    if !written || script.is_empty() {
        return Err(Fault::new(Exit::Failed, "the script cannot be made", "choose another shell"));
    }
    script.trim_end().lines().for_each(|line| session.output.data(line));
    let fields = json!({ "shell": args.shell, "script": script });
    session.output.json(&result::object("completions", Exit::Done, fields));
    Ok(Exit::Done)
}
