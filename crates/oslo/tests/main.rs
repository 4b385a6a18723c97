//! One binary for all integration tests: building and linking is the slow part of them.

mod token;
