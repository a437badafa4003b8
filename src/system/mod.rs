//! This machine: files that are replaced whole, folders that are gone along once, programs that are started. With errors of
//! its own; what a secret, a store or a rotation is, is not known here.

mod admission;
mod clock;
mod error;
mod folder;
mod host;
mod most;
mod opened;
pub mod owned;
pub mod private;
pub mod program;
pub mod replace;
mod rights;
mod swap;
pub mod text;
mod way;

pub use clock::steady_now;
pub use error::{FileError, FileFault, Holder, ProgramError};
pub use folder::LOCK_DEADLINE;
pub use host::{host, is_same_host};
