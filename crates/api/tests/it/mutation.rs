//! What may become of a piece of JSON on its way: by accident, and by somebody who tries.

/// Draws mutations from a seed.
pub struct Mutator(u64);

/// Values to be put where others were, or among them.
const STRANGE: &[&str] = &[
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "1e400",
    "-0.0",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "\"\"",
    "\"x\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"2099-01-01T00:00:00Z\"",
];

/// Keys that mean something in one of the papers.
const KEYS: &[&str] = &[
    "epoch",
    "version",
    "group_id",
    "document",
    "signature",
    "sealed",
    "checksum",
    "stamp",
    "nonce",
    "bundle",
    "unknown",
    "site_id",
    "origin_site_id",
    "exists",
    "schema_version",
    "observations",
    "open_intent",
];

impl Mutator {
    pub fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6a09_e667_f3bc_c908)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// One to three mutations of it.
    pub fn mutated(&mut self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.below(3) {
            self.mutate(&mut bytes);
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = self.below(length);
        match self.below(12) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => bytes.truncate(at),
            2 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
            3 => {
                let end = (at + 1 + self.below(20)).min(length);
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + 1 + self.below(60)).min(length);
                let again = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, again);
            }
            // Not UTF-8.
            5 => {
                bytes.splice(at..at, [0xff, 0xc0, 0x80]);
            }
            6 | 7 => self.replace_value(bytes),
            8 => self.another_field(bytes),
            9 => self.nest(bytes),
            10 => self.swap_digits(bytes),
            // What means the same.
            _ => {
                if let Some(place) = self.place_after(bytes, b",{") {
                    bytes.splice(place..place, *b" \n\t ");
                }
            }
        }
    }

    /// Right behind one of the bytes that are one of these.
    fn place_after(&mut self, bytes: &[u8], wanted: &[u8]) -> Option<usize> {
        let places: Vec<usize> = (0..bytes.len())
            .filter(|at| wanted.contains(&bytes[*at]))
            .collect();
        let at = self.below(places.len());
        places.get(at).map(|place| place + 1)
    }

    /// Something else behind a colon, up to the next comma or bracket.
    fn replace_value(&mut self, bytes: &mut Vec<u8>) {
        let Some(from) = self.place_after(bytes, b":") else {
            return;
        };
        let rest = bytes[from..].iter();
        let length = rest.take_while(|byte| !b",}]".contains(byte)).count();
        let new = self.one_of(STRANGE);
        bytes.splice(from..from + length, new.bytes());
    }

    /// A field more, perhaps one that is there already.
    fn another_field(&mut self, bytes: &mut Vec<u8>) {
        let Some(place) = self.place_after(bytes, b"{") else {
            return;
        };
        let field = format!("\"{}\":{},", self.one_of(KEYS), self.one_of(STRANGE));
        bytes.splice(place..place, field.bytes());
    }

    /// Deeper than any stack.
    fn nest(&mut self, bytes: &mut Vec<u8>) {
        let Some(place) = self.place_after(bytes, b":") else {
            return;
        };
        let depth = [10, 100, 130, 3000][self.below(4)];
        let nested = match self.below(2) {
            0 => format!("{}{},\"x\":", "[".repeat(depth), "]".repeat(depth)),
            _ => format!("{}1{},\"x\":", "{\"a\":".repeat(depth), "}".repeat(depth)),
        };
        bytes.splice(place..place, nested.bytes());
    }

    fn swap_digits(&mut self, bytes: &mut [u8]) {
        let digits: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at].is_ascii_digit())
            .collect();
        let (one, other) = (self.below(digits.len()), self.below(digits.len()));
        if let (Some(one), Some(other)) = (digits.get(one), digits.get(other)) {
            bytes.swap(*one, *other);
        }
    }
}
