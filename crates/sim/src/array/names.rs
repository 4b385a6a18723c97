//! Which names an array accepts.

use super::error::{ApiError, ApiResult};
use super::world::Array;

fn is_plain(name: &str, longest: usize) -> bool {
    let fits = (1..=longest).contains(&name.len());
    fits && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A name of 1 to 63 letters, digits and hyphens that isn't just digits.
pub(super) fn check_name(what: &str, name: &str) -> ApiResult<()> {
    if is_plain(name, 63) && !name.chars().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(ApiError::new(name, format!("Invalid {what} name.")))
}

/// The suffix of a snapshot; numbers are for those that the array names itself.
pub(super) fn check_suffix(suffix: &str) -> ApiResult<()> {
    if is_plain(suffix, 64) && !suffix.chars().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(ApiError::new(suffix, "Invalid snapshot suffix."))
}

/// Pod, volume group and the name within these.
pub(super) fn split(name: &str) -> (Option<&str>, Option<&str>, &str) {
    let (pod, rest) = name
        .split_once("::")
        .map_or((None, name), |(pod, rest)| (Some(pod), rest));
    let (group, base) = rest
        .split_once('/')
        .map_or((None, rest), |(group, base)| (Some(group), base));
    (pod, group, base)
}

/// A volume's name with its containers, which must exist.
pub(super) fn check_volume_name(array: &Array, name: &str) -> ApiResult<()> {
    let (pod, group, base) = split(name);
    check_name("volume", base)?;
    if let Some(pod) = pod {
        array
            .pods
            .get(pod)
            .filter(|pod| pod.destroyed.is_none())
            .ok_or_else(|| ApiError::missing("Pod", pod))?;
    }
    if let Some(group) = group {
        let full = pod.map_or_else(|| group.to_owned(), |pod| format!("{pod}::{group}"));
        let found = array
            .volume_groups
            .get(&full)
            .filter(|group| group.destroyed.is_none());
        found.ok_or_else(|| ApiError::missing("Volume group", &full))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_suffixes() {
        let longest = "a".repeat(63);
        for good in ["v", "volume-1", "1a", longest.as_str()] {
            assert!(check_name("volume", good).is_ok(), "{good}");
        }
        for bad in ["", "a_b", "-a", "a-", "a.b", "12", "a b", &"a".repeat(64)] {
            assert!(check_name("volume", bad).is_err(), "{bad}");
        }
        assert!(
            check_suffix("dr-1a2b").is_ok() && check_suffix("17").is_err() && check_suffix("a.b").is_err()
        );
        assert_eq!(split("p::g/v"), (Some("p"), Some("g"), "v"));
    }
}
