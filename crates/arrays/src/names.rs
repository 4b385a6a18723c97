//! Names on arrays: which are taken, and how a target calls what a source sends.

use protector_ports::{Kind, PortError, PortResult};

/// What Cinder's own driver makes and looks after. Changing it would break the replication of other volumes.
const CINDERS: [&str; 2] = ["cinder-group", "cinder-pod"];

fn invalid(message: String) -> PortError {
    PortError::permanent(Kind::Invalid, message)
}

fn shown(name: &str) -> String {
    name.chars()
        .take(80)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

fn is_label(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A protection group of the array itself, outside of pods, that isn't Cinder's.
pub(crate) fn check_group(name: &str) -> PortResult<()> {
    if CINDERS.iter().any(|cinders| name.eq_ignore_ascii_case(cinders)) {
        let message = format!(
            "The protection group '{name}' belongs to Cinder and can't be used for disaster recovery."
        );
        return Err(PortError::permanent(Kind::Conflict, message));
    }
    if is_label(name, 63) {
        return Ok(());
    }
    let name = shown(name);
    Err(invalid(format!(
        "'{name}' can't be the name of a protection group: it takes 1 to 63 letters, digits and hyphens."
    )))
}

/// A snapshot of ours. Those with a number are made by the array's schedule.
pub(crate) fn check_suffix(suffix: &str) -> PortResult<()> {
    if is_label(suffix, 64) && !suffix.chars().all(|letter| letter.is_ascii_digit()) {
        return Ok(());
    }
    let suffix = shown(suffix);
    Err(invalid(format!(
        "'{suffix}' can't be the suffix of a group snapshot that is made on demand."
    )))
}

/// A volume outside of pods; volumes of a pod are replicated with the pod.
pub(crate) fn check_volume(name: &str) -> PortResult<()> {
    if name.contains("::") {
        let name = shown(name);
        let message = format!(
            "The volume '{name}' is in a pod, which asynchronous replication of its own doesn't reach."
        );
        return Err(PortError::permanent(Kind::Conflict, message));
    }
    let fine = match name.split_once('/') {
        Some((group, volume)) => is_label(group, 63) && is_label(volume, 63),
        None => is_label(name, 63),
    };
    if fine {
        Ok(())
    } else {
        Err(invalid(format!(
            "'{}' can't be the name of a volume on an array.",
            shown(name)
        )))
    }
}

/// What the target calls an object of the source.
pub(crate) fn on_target(source: &str, name: &str) -> String {
    format!("{source}:{name}")
}

/// What the source calls its object that the target shows.
pub(crate) fn at_home<'a>(source: &str, name: &'a str) -> &'a str {
    name.strip_prefix(source)
        .and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cinders_own_objects_are_out_of_bounds() {
        for name in ["cinder-group", "Cinder-Group", "cinder-pod"] {
            assert!(check_group(name).unwrap_err().is(Kind::Conflict), "{name}");
        }
        assert!(
            check_volume("cinder-pod::volume-1-cinder")
                .unwrap_err()
                .is(Kind::Conflict)
        );
    }

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        for bad in [
            "",
            "*",
            "pg*",
            "a,b",
            "pod::pg",
            "fa-a:pg",
            "-pg",
            "pg-",
            "p g",
            "pg.1",
            &"x".repeat(64),
        ] {
            assert!(check_group(bad).is_err(), "{bad}");
        }
        assert!(check_group("pg-1").is_ok() && check_group("7").is_ok());
        assert!(
            check_suffix("17").is_err()
                && check_suffix("dr-1a2b3c4d").is_ok()
                && check_suffix("a.b").is_err()
        );
        assert!(
            check_volume("vg/v-1").is_ok() && check_volume("a/b/c").is_err() && check_volume("v.s").is_err()
        );
    }

    #[test]
    fn names_go_there_and_back() {
        assert_eq!(on_target("fa-a", "pg"), "fa-a:pg");
        assert_eq!(at_home("fa-a", "fa-a:v"), "v");
        assert_eq!((at_home("fa", "fa-a:v"), at_home("fa-a", "v")), ("fa-a:v", "v"));
    }
}
