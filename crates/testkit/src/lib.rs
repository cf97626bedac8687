//! Clock, fault injection, process launcher for tests
