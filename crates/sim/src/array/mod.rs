//! Simulated FlashArrays.
