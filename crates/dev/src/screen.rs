//! What the program says to the person in front of it.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// The width of a progress bar, without its frame.
const BAR: u64 = 30;

/// Standard output, with a line that can be drawn over where it is a terminal.
pub(crate) struct Screen {
    began: Instant,
    shows: bool,
    live: bool,
    drawn: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            shows: true,
            live: std::io::stdout().is_terminal(),
            drawn: false,
        }
    }

    /// One that shows nothing.
    pub(crate) fn nowhere() -> Self {
        Self {
            shows: false,
            ..Self::new()
        }
    }

    fn write(&mut self, text: &str) {
        if !self.shows {
            return;
        }
        // Nobody may be there to read it any more; that is no reason to stop half-way.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// A line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        self.wipe();
        self.write(&format!("{text}\n"));
    }

    /// A line that stays, with the seconds since the beginning in front.
    pub(crate) fn step(&mut self, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.line(&format!("{seconds:6.1} s  {text}"));
    }

    /// A bar that the next line replaces. Where there is no terminal nothing is drawn.
    pub(crate) fn bar(&mut self, percent: u64, text: &str) {
        if !self.live {
            return;
        }
        let full = (percent.min(100) * BAR / 100) as usize;
        let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR as usize - full));
        self.write(&format!("\r\x1b[2K          [{bar}] {percent:3} %  {text}"));
        self.drawn = true;
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.write("\r\x1b[2K");
        }
    }
}
