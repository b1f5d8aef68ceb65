//! The Mainstay client for C, and for whatever can call C. `include/mainstay.h` declares the functions and
//! says what each does; here is only what lies between them and
//! [`mainstay_client::client::Client`].
//!
//! | part | what is there |
//! |---|---|
//! | [`functions`] | what the header declares: the border, and all that is unsafe |
//! | [`Session`] | a client in the hands of C: one verb at a time, ended from anywhere |
//! | [`Refused`] | why a verb was not carried out |
//!
//! It is a package of its own because the client's forbids unsafe code, without which no pointer of C's can
//! be read.

pub mod functions;
mod session;

pub use session::{Refused, Session};
