//! Stand-ins for the systems that teams keep secrets in, for tests of the store and of the whole program alike.

#![allow(dead_code)]

pub mod aws;
pub mod crowd;
pub mod http;
pub mod kubernetes;
pub mod objects;
pub mod vault;
