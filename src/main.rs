//! The command `alice`.
fn main() {}
