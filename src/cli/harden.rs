//! What keeps secrets inside the process: no core dumps, no ptrace by other processes of the user, no panic payloads.

use crate::ui::Output;

/// Closes the process down. Failures are no reason to stop: what the system does not allow was not promised.
pub fn harden(output: &Output) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        // A limit alone does not stop a core pattern that pipes to a program; not being dumpable does.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    let output = output.clone();
    std::panic::set_hook(Box::new(move |panic| {
        // The payload may hold anything; where it happened does not.
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let hint = "nothing that was journaled is lost: `whsec status`; please report the place above";
        output.error(&format!("a defect in whsec at {place}"), Some(hint));
    }));
}
