//! Answers as the described provider would, on loopback.
