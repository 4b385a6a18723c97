//! The filter language of list calls: comparisons with wildcards, lists, sub-fields and logic in two
//! spellings (`a and b`, `and(a,b)`).

use serde_json::Value;

use super::error::{ApiError, ApiResult};

/// Nesting deeper than this is nobody's honest filter.
const MAX_DEPTH: usize = 32;

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Op(&'static str),
    Open,
    Close,
    Comma,
}

/// A filter that was understood.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    True(String),
    Contains(String, String),
    Compare(String, &'static str, Vec<String>),
}

impl Filter {
    pub fn parse(text: &str) -> ApiResult<Self> {
        let bad = || ApiError::new(text, "Invalid filter.");
        let mut parser = Parser {
            tokens: lex(text).ok_or_else(bad)?,
            at: 0,
        };
        let filter = parser.any(0).ok_or_else(bad)?;
        if parser.at == parser.tokens.len() {
            Ok(filter)
        } else {
            Err(bad())
        }
    }

    pub fn matches(&self, item: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(item)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(item)),
            Self::Not(part) => !part.matches(item),
            Self::True(field) => values(item, field).into_iter().any(is_true),
            Self::Contains(field, part) => values(item, field).into_iter().any(|value| {
                text_of(value).is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
            }),
            Self::Compare(field, "!=", wanted) => !equals_one(item, field, wanted),
            Self::Compare(field, "=", wanted) => equals_one(item, field, wanted),
            Self::Compare(field, op, wanted) => wanted.first().is_some_and(|wanted| {
                values(item, field)
                    .into_iter()
                    .any(|value| ordered(value, op, wanted).unwrap_or(false))
            }),
        }
    }
}

fn lex(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next {
            ' ' | '\t' | '\n' | '\r' => {
                rest.next();
            }
            '(' | ')' | ',' => {
                rest.next();
                tokens.push(match next {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                });
            }
            '\'' | '"' => {
                rest.next();
                let mut value = String::new();
                loop {
                    match rest.next()? {
                        '\\' => value.push(rest.next()?),
                        end if end == next => break,
                        other => value.push(other),
                    }
                }
                tokens.push(Token::Text(value));
            }
            '=' | '<' | '>' | '!' => {
                rest.next();
                let equal = rest.next_if_eq(&'=').is_some();
                tokens.push(Token::Op(match (next, equal) {
                    ('=', _) => "=",
                    ('<', false) => "<",
                    ('<', true) => "<=",
                    ('>', false) => ">",
                    ('>', true) => ">=",
                    ('!', true) => "!=",
                    _ => return None,
                }));
            }
            _ => {
                let mut word = String::new();
                while let Some(part) = rest.next_if(|c| c.is_alphanumeric() || "._-:*/[]+".contains(*c)) {
                    word.push(part);
                }
                if word.is_empty() {
                    return None;
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn word(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is_word(&self, wanted: &str) -> bool {
        self.word().is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.all(depth)?];
        while self.is_word("or") {
            self.at += 1;
            parts.push(self.all(depth)?);
        }
        single(parts, Filter::Any)
    }

    fn all(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.one(depth)?];
        while self.is_word("and") {
            self.at += 1;
            parts.push(self.one(depth)?);
        }
        single(parts, Filter::All)
    }

    fn one(&mut self, depth: usize) -> Option<Filter> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.take(&Token::Open) {
            let inner = self.any(depth + 1)?;
            return self.take(&Token::Close).then_some(inner);
        }
        let word = self.word()?.to_owned();
        self.at += 1;
        let calls = self.tokens.get(self.at) == Some(&Token::Open);
        match (word.to_ascii_lowercase().as_str(), calls) {
            ("not", false) => Some(Filter::Not(Box::new(self.one(depth + 1)?))),
            ("not", true) => Some(Filter::Not(Box::new(self.arguments(depth + 1)?.pop()?))),
            ("and", true) => Some(Filter::All(self.arguments(depth + 1)?)),
            ("or", true) => Some(Filter::Any(self.arguments(depth + 1)?)),
            ("contains", true) => {
                self.at += 1;
                let field = self.word()?.to_owned();
                self.at += 1;
                let comma = self.take(&Token::Comma);
                let part = self.value()?;
                (comma && self.take(&Token::Close)).then_some(Filter::Contains(field, part))
            }
            _ => self.comparison(word),
        }
    }

    fn arguments(&mut self, depth: usize) -> Option<Vec<Filter>> {
        self.at += 1;
        let mut parts = vec![self.any(depth)?];
        while self.take(&Token::Comma) {
            parts.push(self.any(depth)?);
        }
        self.take(&Token::Close).then_some(parts)
    }

    fn comparison(&mut self, field: String) -> Option<Filter> {
        let Some(&Token::Op(op)) = self.tokens.get(self.at) else {
            return Some(Filter::True(field));
        };
        self.at += 1;
        if !self.take(&Token::Open) {
            return Some(Filter::Compare(field, op, vec![self.value()?]));
        }
        let mut wanted = vec![self.value()?];
        while self.take(&Token::Comma) {
            wanted.push(self.value()?);
        }
        (self.take(&Token::Close) && (op == "=" || op == "!=")).then_some(Filter::Compare(field, op, wanted))
    }

    fn value(&mut self) -> Option<String> {
        let value = match self.tokens.get(self.at)? {
            Token::Word(text) | Token::Text(text) => text.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(value)
    }
}

fn single(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Option<Filter> {
    if parts.len() == 1 {
        parts.pop()
    } else {
        Some(many(parts))
    }
}

/// The values that a path of fields leads to; lists on the way count as all their items.
fn values<'a>(item: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![item];
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or(part);
        found = found
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(flatten)
            .collect();
    }
    found
}

fn flatten(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Array(_) => false,
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn equals_one(item: &Value, field: &str, wanted: &[String]) -> bool {
    values(item, field)
        .into_iter()
        .any(|value| wanted.iter().any(|wanted| equals(value, wanted)))
}

fn equals(value: &Value, wanted: &str) -> bool {
    match (value, wanted.parse::<f64>()) {
        (Value::Number(number), Ok(wanted)) => number.as_f64() == Some(wanted),
        _ => text_of(value).is_some_and(|text| wildcard(&text.to_lowercase(), &wanted.to_lowercase())),
    }
}

fn ordered(value: &Value, op: &str, wanted: &str) -> Option<bool> {
    let order = match (value, wanted.parse::<f64>()) {
        (Value::Number(number), Ok(wanted)) => number.as_f64()?.partial_cmp(&wanted)?,
        _ => text_of(value)?.as_str().cmp(wanted),
    };
    Some(match op {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub(super) fn wildcard(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &str) -> bool {
        let item = json!({
            "name": "fa-a:pg.7.vol-1", "progress": 1.0, "destroyed": false, "is_local": true, "created": 500,
            "pod": {"name": "p"}, "iqns": ["iqn.x", "fake"], "arrays": [{"name": "A"}, {"name": "B"}], "completed": null,
        });
        Filter::parse(filter)
            .unwrap_or_else(|e| panic!("{filter}: {e}"))
            .matches(&item)
    }

    #[test]
    fn comparisons() {
        for yes in [
            "name='fa-a:pg.7.*'",
            "name='*vol-1'",
            "name='*pg*vol*'",
            r#"progress="1.0""#,
            "progress='1'",
            "progress=1",
            "destroyed='false'",
            "destroyed=false",
            "created>=500",
            "created<'501'",
            "name!='x'",
            "pod.name='p'",
            "iqns='fake' and is_local",
            "arrays[any].name='B'",
            "name=('x','fa-a:pg.7.vol-1')",
            "not destroyed",
            "not(name='x')",
            "and(is_local,created='500')",
            "or(name='x',pod.name='P')",
            "contains(name,'PG.7')",
            "name='x' or created=500 and is_local",
            "(name='x' or is_local) and not completed",
            "is_local",
            "completed!='5'",
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in [
            "name='fa-a:pg.1.*'",
            "progress='0.5'",
            "created>500",
            "iqns='none'",
            "pod.name='q'",
            "nosuch='x'",
            "name!=('a','fa-a:pg.7.vol-1')",
            "completed",
            "not is_local",
            "name='pg*'",
        ] {
            assert!(!fits(no), "{no}");
        }
    }

    #[test]
    fn escapes_and_nonsense() {
        let filter = Filter::parse(r"name='it\'s'").unwrap();
        assert!(filter.matches(&json!({"name": "it's"})));
        for bad in [
            "",
            "name=",
            "name='x",
            "name='x' and",
            "(name='x'",
            "=5",
            "name ! 5",
            "and(",
            &"(".repeat(500),
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
