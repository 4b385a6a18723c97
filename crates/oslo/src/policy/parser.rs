//! Reading the language: tokens split at white space, and a greedy reduction of what lies on the stack.
//!
//! The reduction is a copy of the original's rules and not a grammar of our own: precedence and every odd case
//! (`not not @`, an `and` behind an `or`) fall out of it alike.

use serde_yaml_ng::Value as Yaml;

use super::check::Check;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Check(Check),
    AndExpr(Vec<Check>),
    OrExpr(Vec<Check>),
    And,
    Or,
    Not,
    Open,
    Close,
    /// A quoted word that is no check: nothing reduces it, so its rule denies.
    Text,
}

/// The check that a rule's text stands for. A text that can't be understood denies, and says so in the log.
pub fn parse(rule: &str) -> Check {
    if rule.is_empty() {
        return Check::True;
    }
    understand(rule).unwrap_or_else(|| {
        tracing::error!(target: "oslo_policy._parser", "Failed to understand rule {rule:?}: it denies everything");
        Check::False
    })
}

fn understand(rule: &str) -> Option<Check> {
    let mut stack = Vec::new();
    for token in tokens(rule) {
        stack.push(token);
        while reduce(&mut stack) {}
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(token), true) => match token {
            Token::Check(check) => Some(check),
            Token::AndExpr(checks) => Some(Check::And(checks)),
            Token::OrExpr(checks) => Some(Check::Or(checks)),
            _ => None,
        },
        _ => None,
    }
}

/// A rule as it stands in a file: a text, nothing, or the old list of lists (or-ed lists of and-ed checks).
/// `Err`: a value of another kind.
pub fn parse_value(value: &Yaml) -> Result<Check, &'static str> {
    const WRONG: &str = "a rule must be a text, or a list of lists of texts";
    match value {
        Yaml::String(text) => Ok(parse(text)),
        Yaml::Null => Ok(Check::True),
        Yaml::Sequence(outer) if outer.is_empty() => Ok(Check::True),
        Yaml::Sequence(outer) => {
            let mut any = Vec::new();
            for inner in outer {
                match inner {
                    Yaml::String(text) if text.is_empty() => {}
                    Yaml::String(text) => any.push(base(text)),
                    Yaml::Null => {}
                    Yaml::Sequence(inner) if inner.is_empty() => {}
                    Yaml::Sequence(inner) => {
                        let mut all = inner
                            .iter()
                            .map(|item| item.as_str().map(base).ok_or(WRONG))
                            .collect::<Result<Vec<_>, _>>()?;
                        any.push(if all.len() == 1 {
                            all.remove(0)
                        } else {
                            Check::And(all)
                        });
                    }
                    _ => return Err(WRONG),
                }
            }
            Ok(match any.len() {
                0 => Check::False,
                1 => any.remove(0),
                _ => Check::Or(any),
            })
        }
        _ => Err(WRONG),
    }
}

/// White space as Python's `\s` sees it: Unicode's, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn tokens(rule: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for word in rule.split(is_space).filter(|word| !word.is_empty()) {
        let opened = word.trim_start_matches('(');
        tokens.extend(std::iter::repeat_n(Token::Open, word.len() - opened.len()));
        if opened.is_empty() {
            continue;
        }
        let clean = opened.trim_end_matches(')');
        match clean.to_lowercase().as_str() {
            "" => {}
            "and" => tokens.push(Token::And),
            "or" => tokens.push(Token::Or),
            "not" => tokens.push(Token::Not),
            _ if quoted(opened) => tokens.push(Token::Text),
            _ => tokens.push(Token::Check(base(clean))),
        }
        tokens.extend(std::iter::repeat_n(Token::Close, opened.len() - clean.len()));
    }
    tokens
}

fn quoted(word: &str) -> bool {
    word.len() >= 2
        && ['"', '\'']
            .iter()
            .any(|quote| word.starts_with(*quote) && word.ends_with(*quote))
}

fn base(text: &str) -> Check {
    match text {
        "!" => return Check::False,
        "@" => return Check::True,
        _ => {}
    }
    let Some((kind, matches)) = text.split_once(':') else {
        tracing::error!(target: "oslo_policy._parser", "Failed to understand rule {text:?}: it denies");
        return Check::False;
    };
    match kind {
        "rule" => Check::Rule(matches.to_owned()),
        "role" => Check::Role(matches.to_owned()),
        // A question to another server in the middle of a request: not supported, and so denied.
        "http" | "https" => {
            tracing::error!(target: "oslo_policy._parser", "No handler for matches of kind {kind}: it denies");
            Check::False
        }
        _ => Check::Generic {
            kind: kind.to_owned(),
            matches: matches.to_owned(),
        },
    }
}

/// One reduction at the top of the stack; `false` when there is none.
fn reduce(stack: &mut Vec<Token>) -> bool {
    let expression = |token: &Token| matches!(token, Token::Check(_) | Token::AndExpr(_) | Token::OrExpr(_));
    if let [.., a, b, c] = stack.as_slice() {
        let known = match (a, b, c) {
            (Token::Open, middle, Token::Close) => expression(middle),
            (
                Token::Check(_) | Token::AndExpr(_) | Token::OrExpr(_),
                Token::And | Token::Or,
                Token::Check(_),
            ) => true,
            _ => false,
        };
        if known && let (Some(c), Some(b), Some(a)) = (stack.pop(), stack.pop(), stack.pop()) {
            stack.push(join(a, b, c));
            return true;
        }
    }
    if let [.., Token::Not, Token::Check(_)] = stack.as_slice()
        && let Some(Token::Check(check)) = stack.pop()
    {
        stack.pop();
        stack.push(Token::Check(Check::Not(Box::new(check))));
        return true;
    }
    false
}

/// What three reducible tokens become.
fn join(a: Token, b: Token, c: Token) -> Token {
    match (a, b, c) {
        (Token::Open, Token::Check(check), _) => Token::Check(check),
        (Token::Open, Token::AndExpr(checks), _) => Token::Check(Check::And(checks)),
        (Token::Open, Token::OrExpr(checks), _) => Token::Check(Check::Or(checks)),
        (Token::Check(a), Token::And, Token::Check(c)) => Token::AndExpr(vec![a, c]),
        (Token::Check(a), Token::Or, Token::Check(c)) => Token::OrExpr(vec![a, c]),
        (Token::AndExpr(mut checks), Token::And, Token::Check(c)) => {
            checks.push(c);
            Token::AndExpr(checks)
        }
        (Token::AndExpr(checks), Token::Or, Token::Check(c)) => Token::OrExpr(vec![Check::And(checks), c]),
        (Token::OrExpr(mut checks), Token::Or, Token::Check(c)) => {
            checks.push(c);
            Token::OrExpr(checks)
        }
        // `A or B and C`: the `and` takes the last alternative with it.
        (Token::OrExpr(mut checks), Token::And, Token::Check(c)) => {
            let last = match checks.pop() {
                Some(Check::And(mut inner)) => {
                    inner.push(c);
                    Check::And(inner)
                }
                Some(other) => Check::And(vec![other, c]),
                None => c,
            };
            checks.push(last);
            Token::OrExpr(checks)
        }
        _ => Token::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(rule: &str) -> String {
        parse(rule).to_string()
    }

    fn listed(yaml: &str) -> String {
        parse_value(&serde_yaml_ng::from_str(yaml).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn single_checks() {
        assert_eq!(parse(""), Check::True);
        assert_eq!(parse("@"), Check::True);
        assert_eq!(parse("!"), Check::False);
        assert_eq!(parse("rule:a:b"), Check::Rule("a:b".into()));
        assert_eq!(parse("role:Admin"), Check::Role("Admin".into()));
        let generic = Check::Generic {
            kind: "tenant".into(),
            matches: "%(tenant_id)s".into(),
        };
        assert_eq!(parse("tenant:%(tenant_id)s"), generic);
        assert_eq!(parse("  ( ((tenant:%(tenant_id)s) ) )"), generic);
    }

    #[test]
    fn words_join_as_in_the_original() {
        for (rule, meant) in [
            ("@ and ! or @", "((@ and !) or @)"),
            ("@ or ! and @", "(@ or (! and @))"),
            ("@ or ! and @ and !", "(@ or (! and @ and !))"),
            ("@ AND ! Or @", "((@ and !) or @)"),
            ("not @", "not @"),
            ("not @ and !", "(not @ and !)"),
            ("not not @", "not not @"),
            ("@ or not (! and @)", "(@ or not (! and @))"),
            ("(a:1 or b:2) and c:3", "((a:1 or b:2) and c:3)"),
            ("a:1 or (b:2 and c:3) and d:4", "(a:1 or (b:2 and c:3 and d:4))"),
            ("(@ or @) or @", "((@ or @) or @)"),
        ] {
            assert_eq!(shown(rule), meant, "{rule}");
        }
    }

    #[test]
    fn what_is_not_understood_denies() {
        for rule in [
            "and",
            "or @",
            "@ and",
            "not",
            "( @",
            "@ )",
            "()",
            "(",
            "@ @",
            "'quoted'",
            "\"a\" and @",
            " ",
            "noseparator",
            "http://x/y",
        ] {
            assert_eq!(parse(rule), Check::False, "{rule:?}");
        }
    }

    #[test]
    fn the_old_list_syntax() {
        for (yaml, meant) in [
            ("[]", "@"),
            ("~", "@"),
            ("[[]]", "!"),
            ("['role:a']", "role:a"),
            ("[['role:a', 'b:c']]", "(role:a and b:c)"),
            (
                "[['role:a'], [], ['b:c', 'd:e'], 'f:g']",
                "(role:a or (b:c and d:e) or f:g)",
            ),
            ("['']", "!"),
            ("['@ and !']", "!"),
        ] {
            assert_eq!(listed(yaml), meant, "{yaml}");
        }
        for yaml in ["5", "true", "{a: b}", "[5]", "[[5]]", "[[[a]]]"] {
            assert!(
                parse_value(&serde_yaml_ng::from_str(yaml).unwrap()).is_err(),
                "{yaml}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(rule in "(?s).{0,80}") {
            let _ = parse(&rule);
        }

        #[test]
        fn never_panics_on_what_looks_like_a_rule(rule in "(\\(|\\)| |and|or|not|@|!|role:a|rule:b|'|\"|x:%\\(y\\)s){0,20}") {
            let _ = parse(&rule);
        }
    }
}
