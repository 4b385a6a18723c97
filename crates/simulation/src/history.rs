//! What happened, line by line: hashed as a whole, kept as far as somebody may want to read it.

use std::collections::VecDeque;
use std::time::Duration;

/// So many lines stand under a violation.
const TAIL: usize = 60;

#[derive(Debug)]
pub struct History {
    lines: VecDeque<String>,
    /// All lines are kept, to be printed.
    whole: bool,
    count: u64,
    hash: u64,
}

impl History {
    pub fn new(whole: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            whole,
            count: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub fn note(&mut self, at: Duration, line: &str) {
        let line = format!("{:>12.6} {line}", at.as_secs_f64());
        for byte in line.bytes().chain([b'\n']) {
            // FNV-1a
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.count += 1;
        if !self.whole && self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The same for the same history, byte for byte.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
