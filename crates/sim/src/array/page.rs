//! What all list calls share: filter, order, pages.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::filter::Filter;
use super::query::Query;

/// The array cuts longer pages silently.
const MAX_PAGE: usize = 1000;

/// Filter, order and cut the items of a list as the query says. Not every list has page tokens; the others are
/// read on with an offset.
pub(super) fn list(mut items: Vec<Value>, query: &Query, tokens: bool) -> ApiResult<Value> {
    if let Some(text) = query.text("filter").filter(|text| !text.is_empty()) {
        let filter = Filter::parse(text)?;
        items.retain(|item| filter.matches(item));
    }
    if let Some(wanted) = query.flag("destroyed")? {
        items.retain(|item| {
            item.get("destroyed")
                .and_then(Value::as_bool)
                .is_none_or(|is| is == wanted)
        });
    }
    let total = items.len();
    let limit = query.number("limit")?.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let sorts = query.list("sort");
    if sorts.is_empty() {
        items.sort_by_cached_key(key);
    } else {
        items.sort_by(|a, b| by(&sorts, a, b));
    }
    // A page token names the last item that was given, so that whatever comes or goes between two pages
    // neither repeats an item nor hides one.
    if let Some(token) = query.text("continuation_token").filter(|token| !token.is_empty()) {
        let last = decode(token).ok_or_else(|| ApiError::new(token, "Invalid continuation token."))?;
        items.retain(|item| key(item) > last);
    } else if let Some(offset) = query.number("offset")? {
        items.drain(..offset.min(items.len()));
    }
    let limit = if query.is("total_only")? { 0 } else { limit };
    let more = items.len() > limit;
    items.truncate(limit);
    let token = if more && tokens && sorts.is_empty() {
        items.last().map(|item| encode(&key(item)))
    } else {
        None
    };
    Ok(json!({
        "items": items,
        "continuation_token": token,
        "more_items_remaining": more,
        "total_item_count": if query.is("total_item_count")? { Some(total) } else { None },
    }))
}

/// What orders a list by default, and is different for all its items.
fn key(item: &Value) -> String {
    let mut key = String::new();
    for path in [
        "/name",
        "/group/name",
        "/host/name",
        "/volume/name",
        "/resource/name",
        "/member/name",
    ] {
        if let Some(name) = item.pointer(path).and_then(Value::as_str) {
            key.push_str(name);
            key.push('\n');
        }
    }
    for path in ["/namespace", "/key", "/target/name"] {
        if let Some(name) = item.pointer(path).and_then(Value::as_str) {
            key.push_str(name);
            key.push('\n');
        }
    }
    key
}

fn by(sorts: &[String], a: &Value, b: &Value) -> Ordering {
    for sort in sorts {
        let (field, down) = sort
            .strip_suffix('-')
            .map_or((sort.as_str(), false), |field| (field, true));
        let pointer = format!("/{}", field.trim_end_matches('+').replace('.', "/"));
        let order = compare(a.pointer(&pointer), b.pointer(&pointer));
        if order.is_ne() {
            return if down { order.reverse() } else { order };
        }
    }
    key(a).cmp(&key(b))
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None | Some(Value::Null) => 0,
        _ => 1,
    }
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Option<String> {
    let digits: Vec<u8> = token
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes = digits
        .chunks(2)
        .map(|pair| Some(pair.first()? * 16 + pair.get(1)?))
        .collect::<Option<_>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(names: &[&str]) -> Vec<Value> {
        names
            .iter()
            .map(|name| json!({"name": name, "size": name.len()}))
            .collect()
    }

    fn names(answer: &Value) -> Vec<&str> {
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_token_neither_repeats_nor_hides_when_the_list_changes() {
        let first = list(
            items(&["b", "d", "f"]),
            &Query::parse("limit=2&total_item_count=True"),
            true,
        )
        .unwrap();
        assert_eq!(
            (names(&first), &first["total_item_count"]),
            (vec!["b", "d"], &json!(3))
        );
        assert_eq!(first["more_items_remaining"], true);
        let token = first["continuation_token"].as_str().unwrap();
        let second = list(
            items(&["a", "c", "e", "f"]),
            &Query::parse(&format!("limit=2&continuation_token={token}")),
            true,
        )
        .unwrap();
        assert_eq!(names(&second), ["e", "f"]);
        assert_eq!(second["continuation_token"], Value::Null);
        assert!(list(Vec::new(), &Query::parse("continuation_token=zz"), true).is_err());
    }

    #[test]
    fn sorted_lists_have_offsets_and_no_token() {
        let answer = list(
            items(&["a", "ccc", "bb"]),
            &Query::parse("sort=size-&limit=1&offset=1"),
            true,
        )
        .unwrap();
        assert_eq!(names(&answer), ["bb"]);
        assert_eq!(
            (&answer["more_items_remaining"], &answer["continuation_token"]),
            (&json!(true), &Value::Null)
        );
        let count = list(
            items(&["a", "b"]),
            &Query::parse("limit=0&total_item_count=true"),
            true,
        )
        .unwrap();
        assert_eq!((names(&count).len(), &count["total_item_count"]), (0, &json!(2)));
    }
}
