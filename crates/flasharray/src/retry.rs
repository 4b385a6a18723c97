//! When a call is made again, and after how long. Decided without doing anything.

use std::time::Duration;

use http::HeaderMap;

/// How often a login is tried on an array that is busy.
pub(crate) const LOGIN_TRIES: u32 = 3;
/// A read whose answer was lost, or that met a failing gateway, is repeated this often.
pub(crate) const READ_TRIES: u32 = 3;

/// What a busy array asks to be given: seconds until the next call.
///
/// `Retry-After` may be a date too; then it is read as if it were absent, as clocks differ.
pub(crate) fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    ["retry-after", "ratelimit-reset"].iter().find_map(|name| {
        let seconds: u64 = headers.get(*name)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    })
}

/// 1, 2, 4 ... seconds, with up to a quarter more so that many callers don't come back at once.
pub(crate) fn pause(attempt: u32, asked: Option<Duration>, longest: Duration) -> Duration {
    let base = asked.unwrap_or_else(|| Duration::from_secs(1 << attempt.min(6)));
    let jitter = base.mul_f64(rand::random_range(0.0..0.25));
    (base + jitter).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_array_says_how_long_to_wait() {
        assert_eq!(
            asked_pause(&headers(&[("retry-after", "7"), ("ratelimit-reset", "2")])),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            asked_pause(&headers(&[("ratelimit-reset", "2")])),
            Some(Duration::from_secs(2))
        );
        let date = [("retry-after", "Fri, 21 Nov 2026 11:00:00 GMT")];
        assert_eq!(asked_pause(&headers(&date)), None);
        assert_eq!(asked_pause(&headers(&[("retry-after", "-1")])), None);
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let longest = Duration::from_secs(30);
        for (attempt, seconds) in [(0, 1), (1, 2), (4, 16), (40, 30)] {
            let pause = pause(attempt, None, longest);
            assert!(
                pause >= Duration::from_secs(seconds) && pause <= longest,
                "{attempt}: {pause:?}"
            );
        }
        assert_eq!(
            pause(0, Some(Duration::from_secs(u64::from(u32::MAX))), longest),
            longest
        );
    }
}
