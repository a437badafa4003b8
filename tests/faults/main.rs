//! Servers, disks and outputs at their worst.
use rcgen as _;
