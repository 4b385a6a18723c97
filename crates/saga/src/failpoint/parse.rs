//! From text to failpoints.

use std::sync::atomic::AtomicU32;

use super::{Action, Failpoint, Point};

/// A list of failpoints that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no failpoint: {why}; one looks like clone-volume/0@before-call=stop or undo:boot-server@after-call=error*2"
)]
pub struct Malformed {
    text: String,
    why: &'static str,
}

pub(super) fn list(text: &str) -> Result<Vec<Failpoint>, Malformed> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let points: Vec<Failpoint> = parts.map(one).collect::<Result<_, _>>()?;
    if points.is_empty() {
        return Err(malformed(text, "it is empty"));
    }
    Ok(points)
}

fn one(text: &str) -> Result<Failpoint, Malformed> {
    let wrong = |why| malformed(text, why);
    let (place, what) = text.split_once('=').ok_or_else(|| wrong("it has no ="))?;
    let (name, point) = place.split_once('@').ok_or_else(|| wrong("it has no @"))?;
    let (undo, step) = match name.strip_prefix("undo:") {
        Some(step) => (true, step),
        None => (false, name),
    };
    if step.is_empty() {
        return Err(wrong("it names no step"));
    }
    let (action, count) = what.split_once('*').unwrap_or((what, "1"));
    let count: u32 = count.parse().map_err(|_| wrong("its count is no number"))?;
    let failpoint = Failpoint {
        undo,
        step: step.to_owned(),
        point: self::point(point).ok_or_else(|| {
            wrong("its point is none of before-intent, before-call, after-call, after-outcome")
        })?,
        action: self::action(action)
            .ok_or_else(|| wrong("its action is none of stop, error, retryable, lost, twice"))?,
        left: AtomicU32::new(count),
    };
    let journal = matches!(failpoint.point, Point::BeforeIntent | Point::AfterOutcome);
    if journal && matches!(failpoint.action, Action::Retryable | Action::Twice) {
        return Err(wrong(
            "retryable and twice can only happen to the call, at before-call or after-call",
        ));
    }
    Ok(failpoint)
}

fn malformed(text: &str, why: &'static str) -> Malformed {
    Malformed {
        text: text.to_owned(),
        why,
    }
}

fn point(word: &str) -> Option<Point> {
    Some(match word {
        "before-intent" => Point::BeforeIntent,
        "before-call" => Point::BeforeCall,
        "after-call" => Point::AfterCall,
        "after-outcome" => Point::AfterOutcome,
        _ => return None,
    })
}

fn action(word: &str) -> Option<Action> {
    Some(match word {
        "stop" => Action::Stop,
        "error" => Action::Error,
        "retryable" => Action::Retryable,
        "lost" => Action::Lost,
        "twice" => Action::Twice,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_steps_points_actions_and_counts() {
        let points = list("clone-volume/0@after-call=stop; undo:boot-server@before-call=error*2;").unwrap();
        let [first, second] = points.as_slice() else {
            panic!("{points:?}")
        };
        assert!(first.is_at(false, "clone-volume/0", Point::AfterCall));
        assert!(!first.is_at(false, "clone-volume/1", Point::AfterCall));
        assert!(!first.is_at(true, "clone-volume/0", Point::AfterCall));
        assert!(second.is_at(true, "boot-server/7", Point::BeforeCall));
        assert!(!second.is_at(true, "boot-server/7", Point::AfterCall));
        assert_eq!((first.action, second.action), (Action::Stop, Action::Error));
        assert!(first.fires() && !first.fires());
        assert!(second.fires() && second.fires() && !second.fires());
    }

    #[test]
    fn what_is_malformed_is_named_with_the_reason() {
        for (text, why) in [
            ("", "empty"),
            ("a@before-call", "no ="),
            ("a=stop", "no @"),
            ("@before-call=stop", "no step"),
            ("undo:@before-call=stop", "no step"),
            ("a@between=stop", "its point"),
            ("a@before-call=explode", "its action"),
            ("a@before-call=stop*x", "no number"),
            ("a@before-intent=twice", "only happen to the call"),
            ("a@before-call=stop; b", "'b' is no failpoint"),
        ] {
            let said = list(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
