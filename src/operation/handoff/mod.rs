//! Hands an open rotation over to somebody who has no journal in common with whoever has begun it: [`prepare`], then
//! [`Prepared::export`]. [`import`] is the other side.

use std::path::Path;

use zeroize::Zeroizing;

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::find::{self, OpenEndpoint};
use super::workspace::{self, Workspace};
use crate::advice::{Verb, advice};
use crate::rotation::handoff::{Bundle, BundleError};
use crate::rotation::seal::SealError;
use crate::rotation::{Entry, Event, Handed, Rotation};
use crate::system::private;

pub mod import;

/// A rotation that may be handed over, on an endpoint that is locked.
pub struct Prepared {
    pub workspace: Workspace,
    pub rotation: Rotation,
}

/// Finds the open rotation, or one that was handed over and whose bundle is lost. Refuses one that only who has sent something can
/// settle.
pub fn prepare(context: &Context, name: &str) -> Result<Prepared, Error> {
    let mut found = find::open_to_close(context, name, &Asked::default())?;
    let rotation = match found.rotation.take_if(|newest| newest.is_with().is_some()) {
        Some(handed) => handed,
        None => find::need_open(context, &mut found)?,
    };
    let OpenEndpoint { workspace, .. } = found;
    let is_alone = workspace.journal.open_of(&rotation.plan.endpoint_key)?.iter().all(|open| open.id == rotation.id);
    let why = if is_alone { rotation.keeps_from_handing_over() } else { Some("another one is pending beside it") };
    if let Some(why) = why {
        let message = format!("the rotation of `{}` is not handed over: {why}", workspace.target.name);
        let hint = advice!["bring it on first: ", Verb::Cutover.of(&workspace.target.name).bare()];
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    Ok(Prepared { workspace, rotation })
}

impl Prepared {
    /// Who has it already, as far as this journal knows: of two who go on with one rotation each undoes what the other does.
    pub fn handed_before(&self) -> Option<&Handed> {
        self.rotation.is_with()
    }

    /// Writes the bundle into a new file, then records that the rotation is handed over.
    ///
    /// In this order, because the other one could lose the rotation: closed here, and in no bundle. Cut off in between, it is open here
    /// still, and a bundle lies on this machine that nobody was told to send; another export makes one that counts.
    pub fn export(
        self,
        context: &Context,
        to: &[String],
        reason: Option<&str>,
        file: &Path,
    ) -> Result<(Workspace, Rotation, Event), Error> {
        let Self { workspace, mut rotation } = self;
        if workspace.reacquire()? {
            let now = workspace.journal.find(&rotation.plan.endpoint_key, rotation.id)?;
            if now.is_none_or(|now| (now.last_at, &now.closed) != (rotation.last_at, &rotation.closed)) {
                let hint = advice!["see where it stands: ", Verb::Inspect.of(&workspace.target.name).bare()];
                return Err(Stop::new(Kind::Conflict, "others went on with this rotation meanwhile", hint));
            }
        }
        let mut bound = rotation.plan.stores.clone();
        bound.iter_mut().for_each(|store| workspace::bind(store, true));
        for store in bound.iter().filter(|store| workspace::is_of_a_host(store)) {
            context.warn(format!("{} is on one machine alone, and only there it can be gone on with", store.reference));
        }
        bound.retain(|store| !rotation.plan.stores.contains(store));
        let event = Event::HandedOver { to: to.to_vec(), reason: reason.map(str::to_owned), bound };
        let entry = Entry { at: context.now(), by: context.actor().to_owned(), event: event.clone() };
        let bundle = Bundle::of(&workspace.journal, &rotation, &entry, &workspace.seals);
        let cipher = bundle.and_then(|bundle| bundle.close(to, &workspace.seals)).map_err(not_made)?;
        write_new(file, cipher)?;
        let told = workspace.journal.append(&mut rotation, &entry.by, entry.at, std::slice::from_ref(&event));
        told.inspect_err(|_| {
            let file = file.display();
            context
                .warn(format!("the rotation is open here still: remove `{file}`, send it to nobody, and export again"));
        })?;
        Ok((workspace, rotation, event))
    }
}

/// Makes a file, closed to everybody else, that outlasts a power cut. One that is there is left alone.
fn write_new(file: &Path, bytes: Vec<u8>) -> Result<(), Error> {
    let (bytes, mut is_there) = (Zeroizing::new(bytes), false);
    let written = private::edit(file, |found| {
        is_there = found.is_some();
        (!is_there).then(|| bytes.clone())
    });
    written.map_err(|source| SealError::Write { path: file.to_owned(), source })?;
    if is_there {
        let message = format!("`{}` is there already, and nothing was handed over", file.display());
        let hint = "name another file: --out FILE; what an export left behind that was cut off is of no use, and may be removed";
        return Err(Stop::new(Kind::Usage, message, hint));
    }
    Ok(())
}

fn not_made(error: BundleError) -> Error {
    match error {
        BundleError::Seal(error) => error.into(),
        BundleError::Journal(error) => error.into(),
        other => Stop::new(Kind::Failed, other.to_string(), other.hint().unwrap_or_default()),
    }
}
