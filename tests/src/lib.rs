//! Black-box tests: they start the release programs and speak JSON, and know nothing of the inside.
