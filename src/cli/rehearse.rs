//! `whsec rehearse`
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_: &Args, _: &super::session::Session) -> anyhow::Result<super::exit::Exit> {
    Ok(super::exit::Exit::Done)
}
