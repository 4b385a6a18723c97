//! What goes wrong in a run: which kinds of faults there are, how often, and what is out of reach just now.
//!
//! Every run has its own mixture, drawn first: a fault that is everywhere would hide what another one shows.

use std::time::Duration;

use crate::chance::Chance;
use crate::world::{Side, Time};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Cloud(Side),
    Array(Side),
    Database(Side),
}

impl Place {
    pub fn side(self) -> Side {
        match self {
            Self::Cloud(side) | Self::Array(side) | Self::Database(side) => side,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Cloud(0) => "cloud-a",
            Self::Cloud(_) => "cloud-b",
            Self::Array(0) => "array-a",
            Self::Array(_) => "array-b",
            Self::Database(0) => "db-a",
            Self::Database(_) => "db-b",
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Well,
    CrashBefore,
    CrashAfter,
    StallBefore,
    StallAfter,
    /// It is done, and nobody hears of it.
    LostAnswer,
    Busy,
    Refused,
    /// No answer for longer than anybody waits, and nothing done.
    Hangs,
}

/// So often in a million calls.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    pub crash: u64,
    pub stall: u64,
    pub lost: u64,
    pub busy: u64,
    pub refused: u64,
    pub hang: u64,
    pub breakage: u64,
    /// Places out of reach, in a million seconds.
    pub cut: u64,
    pub jump: u64,
    /// Words of the operator, in a million seconds.
    pub cancel: u64,
}

pub struct Weather {
    pub rates: Rates,
    /// From then on nothing goes wrong any more.
    pub calm: Time,
    pub cuts: Vec<(Place, Time)>,
    pub slowest: u64,
}

impl Weather {
    pub fn draw(chance: &mut Chance) -> Self {
        let mut rates = Rates::default();
        // One run in twelve has fine weather: there nothing may take a detour.
        if !chance.percent(8) {
            let fields: [(&mut u64, u64, &[u64]); 10] = [
                (&mut rates.crash, 55, &[500, 2_000, 6_000]),
                (&mut rates.stall, 40, &[300, 1_000, 3_000]),
                (&mut rates.lost, 45, &[1_000, 5_000, 20_000]),
                (&mut rates.busy, 35, &[1_000, 5_000, 20_000]),
                (&mut rates.refused, 25, &[200, 1_000, 3_000]),
                (&mut rates.hang, 15, &[300, 1_500]),
                (&mut rates.breakage, 15, &[10_000, 60_000]),
                (&mut rates.cut, 25, &[1_000, 4_000]),
                (&mut rates.jump, 20, &[5_000]),
                (&mut rates.cancel, 35, &[3_000, 15_000, 40_000]),
            ];
            for (rate, percent, choices) in fields {
                if chance.percent(percent) {
                    *rate = choices[chance.below(choices.len() as u64) as usize];
                }
            }
        }
        let slowest = [20, 100, 1_500][chance.below(3) as usize];
        Self {
            rates,
            calm: Duration::from_secs(chance.between(300..1200)),
            cuts: Vec::new(),
            slowest,
        }
    }

    pub fn is_calm(&self, now: Time) -> bool {
        now >= self.calm
    }

    pub fn is_cut(&self, place: Place, now: Time) -> bool {
        self.cuts.iter().any(|(cut, until)| *cut == place && now < *until)
    }

    pub fn fate(&self, chance: &mut Chance, now: Time, changes: bool) -> Fate {
        if self.is_calm(now) {
            return Fate::Well;
        }
        let rates = &self.rates;
        let mut drawn = chance.below(1_000_000);
        let kinds = [
            (Fate::CrashBefore, rates.crash / 2),
            (Fate::CrashAfter, rates.crash / 2),
            (Fate::StallBefore, rates.stall / 2),
            (Fate::StallAfter, rates.stall / 2),
            (Fate::LostAnswer, rates.lost),
            (Fate::Busy, rates.busy),
            (Fate::Refused, if changes { rates.refused } else { 0 }),
            (Fate::Hangs, rates.hang),
        ];
        for (fate, rate) in kinds {
            if drawn < rate {
                return fate;
            }
            drawn -= rate;
        }
        Fate::Well
    }

    pub fn latency(&self, chance: &mut Chance) -> Duration {
        // Mostly quick, now and then slow.
        let limit = if chance.percent(5) { self.slowest } else { 20 };
        Duration::from_micros(chance.between(200..limit * 1000))
    }
}
