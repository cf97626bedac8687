//! The service as a whole. Results are held against an oracle that computes them from all entries at once.

mod answers;
mod crash;
mod fake;
mod faults;
mod history;
mod oracle;
mod reference;
mod stream;
mod watch;
mod world;
