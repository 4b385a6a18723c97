//! One binary for all integration tests: building and linking is the slow part of them.

// Clippy takes only functions marked as tests for tests, and not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod token;
