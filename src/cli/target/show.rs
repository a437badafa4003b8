//! `whsec target show`: everything that is known about one target before anybody is asked.

use clap_complete::engine::ArgValueCandidates;

use super::super::complete;
use super::super::exit::Exit;
use super::super::options::TargetOptions;
use super::super::result;
use super::super::session::Session;
use crate::http::shown_address;
use crate::provider::duration_text;

/// Show one target as it will be used
///
/// Nothing is sent and no store is opened. `whsec inspect` asks the provider.
///
/// Examples:
///   whsec target show payments
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name a target, or an endpoint as PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    #[command(flatten)]
    options: TargetOptions,
}

/// Prints the target, flags applied.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let target = session.target(&args.target, &args.options)?;
    let endpoint = &target.endpoint;
    let mut lines = vec![
        ("target", target.name.clone()),
        ("provider", format!("{} ({})", endpoint.provider.name(), endpoint.provider.title())),
        ("base URL", endpoint.base_url.to_string()),
    ];
    lines.extend(endpoint.ids.iter().map(|id| (id.name.as_str(), id.value.clone())));
    lines.extend(super::stores(&target).into_iter().map(|store| ("store", store)));
    lines.extend(target.receivers.iter().map(|url| ("receiver", shown_address(url))));
    lines.extend(target.api_key.as_ref().map(|key| ("api key", super::key_source(key))));
    lines.push(("cutover", super::cutover(target.cutover).to_owned()));
    lines.extend(target.owner.clone().map(|owner| ("owner", owner)));
    lines.extend(target.max_age.map(|age| ("max age", duration_text(age))));
    lines.extend(target.file.as_ref().map(|file| ("written in", file.display().to_string())));
    let width = lines.iter().map(|(word, _)| word.chars().count()).max().unwrap_or(0);
    for (word, value) in lines {
        session.output.data(&format!("{word:<width$}  {value}"));
    }
    session.output.json(&result::object("target show", Exit::Done, super::describe(&target)));
    Ok(Exit::Done)
}
