//! From the text of a value to its type, by oslo.config's rules.

use secrecy::SecretString;
use url::Url;

use super::option::Declaration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Str,
    Host,
    Bool,
    Int,
    Float,
    Port,
    Uri,
    List,
    Multi,
    Dict,
    Secret,
}

impl Kind {
    /// As oslo.config's sample files call the types.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Str | Kind::Secret => "string value",
            Kind::Host => "host address value",
            Kind::Bool => "boolean value",
            Kind::Int => "integer value",
            Kind::Float => "floating point value",
            Kind::Port => "port value",
            Kind::Uri => "URI value",
            Kind::List => "list value",
            Kind::Multi => "multi valued",
            Kind::Dict => "dict value",
        }
    }
}

#[derive(Debug, Clone)]
pub enum Value {
    Str(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    Port(u16),
    List(Vec<String>),
    Dict(Vec<(String, String)>),
    Secret(SecretString),
}

/// `Ok(None)`: an empty number or URI, which means unset. `Err`: what would have been accepted.
pub fn parse(option: &Declaration, text: &str) -> Result<Option<Value>, String> {
    let trimmed = text.trim();
    let value = match option.kind {
        Kind::Str => Value::Str(chosen(option, text)?),
        Kind::Secret => Value::Secret(SecretString::from(text)),
        Kind::Host => Value::Str(host(trimmed).ok_or("a host name or an IP address, without a port")?),
        Kind::Bool => Value::Bool(boolean(text).ok_or("true or false (also 1/0, on/off, yes/no)")?),
        Kind::Int | Kind::Float | Kind::Port | Kind::Uri if trimmed.is_empty() => return Ok(None),
        Kind::Int => Value::Int(integer(option, trimmed, i64::MIN, i64::MAX)?),
        Kind::Port => {
            let number = integer(option, trimmed, 0, 65535)?;
            Value::Port(u16::try_from(number).map_err(|_| "a port, 0 to 65535")?)
        }
        Kind::Float => {
            let number = trimmed
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .ok_or("a number")?;
            let in_range = |n: f64| {
                option.min.is_none_or(|min| n >= min as f64) && option.max.is_none_or(|max| n <= max as f64)
            };
            if !in_range(number) {
                return Err(range("a number", option.min, option.max));
            }
            Value::Float(number)
        }
        Kind::Uri => {
            Url::parse(trimmed).map_err(|_| "a URL with its scheme, such as http://controller:5000")?;
            Value::Str(trimmed.to_owned())
        }
        Kind::List => Value::List(list(option, trimmed)?),
        Kind::Multi => Value::List(vec![chosen(option, text)?]),
        Kind::Dict => Value::Dict(dict(trimmed)?),
    };
    Ok(Some(value))
}

fn chosen(option: &Declaration, text: &str) -> Result<String, String> {
    if option.choices.is_empty() || option.choices.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("one of {}", option.choices.join(", ")))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

fn range(what: &str, min: Option<i64>, max: Option<i64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{what} from {min} to {max}"),
        (Some(min), None) => format!("{what} of at least {min}"),
        (None, Some(max)) => format!("{what} of at most {max}"),
        (None, None) => what.to_owned(),
    }
}

fn integer(option: &Declaration, text: &str, lowest: i64, highest: i64) -> Result<i64, String> {
    let min = option.min.unwrap_or(lowest).max(lowest);
    let max = option.max.unwrap_or(highest).min(highest);
    let told = |bound: i64, extreme: i64| (bound != extreme).then_some(bound);
    text.parse::<i64>()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| range("an integer", told(min, i64::MIN), told(max, i64::MAX)))
}

/// Trailing commas are dropped; an empty item between commas stays, as for oslo.config.
fn list(option: &Declaration, text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_end_matches(',');
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|item| chosen(option, item.trim())).collect()
}

/// Pieces between commas are joined until a pair has its colon, which is how oslo.config reads them.
fn dict(text: &str) -> Result<Vec<(String, String)>, String> {
    const ACCEPTED: &str = "key:value pairs separated by commas, each key once";
    let mut pairs: Vec<(String, String)> = Vec::new();
    if text.is_empty() {
        return Ok(pairs);
    }
    let mut pending: Option<String> = None;
    for piece in text.split(',') {
        let whole = match pending.take() {
            Some(begun) => format!("{begun},{piece}"),
            None => piece.to_owned(),
        };
        let Some((key, value)) = whole.split_once(':') else {
            pending = Some(whole);
            continue;
        };
        let key = key.trim();
        if key.is_empty() || pairs.iter().any(|(known, _)| known == key) {
            return Err(ACCEPTED.to_owned());
        }
        pairs.push((key.to_owned(), value.trim().to_owned()));
    }
    match pending {
        None => Ok(pairs),
        Some(_) => Err(ACCEPTED.to_owned()),
    }
}

fn host(text: &str) -> Option<String> {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let named = !numeric && name.len() <= 253 && name.split('.').all(label);
    (address || named).then(|| text.to_owned())
}

/// The text that stands for a value where another one refers to it by `$`.
pub fn as_text(value: &Value) -> String {
    use secrecy::ExposeSecret;
    match value {
        Value::Str(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Port(port) => port.to_string(),
        Value::List(items) => items.join(","),
        Value::Dict(pairs) => pairs
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect::<Vec<_>>()
            .join(","),
        Value::Secret(secret) => secret.expose_secret().to_owned(),
    }
}
