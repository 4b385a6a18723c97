//! Answers questions about policies and configuration files, one JSON document a line, so that
//! `checks/differential.py` can compare the answers with those of oslo.policy and oslo.config.

use std::io::{BufRead, Write};
use std::path::Path;

use protector_oslo::config::{Opt, Schema, Sources, ini};
use protector_oslo::policy::{Enforcer, flatten};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("oslo-differential-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("input");
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let answer = match question["kind"].as_str() {
            Some("policy") => policy(&question, &file)?,
            Some("ini") => read_ini(question["text"].as_str().unwrap_or_default()),
            Some("config") => config(question["text"].as_str().unwrap_or_default(), &file)?,
            _ => json!("unknown question"),
        };
        writeln!(out, "{answer}")?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn policy(question: &Value, file: &Path) -> std::io::Result<Value> {
    std::fs::write(file, question["rules"].to_string())?;
    let target = flatten(&question["target"]);
    Ok(match Enforcer::load(&[], Some(file)) {
        Ok(enforcer) => json!({
            "shown": enforcer.find("it").map(ToString::to_string),
            "allowed": enforcer.authorize("it", &target, &question["creds"]).is_ok(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

fn read_ini(text: &str) -> Value {
    match ini::parse(text, Path::new("input")) {
        Ok(entries) => entries
            .into_iter()
            .map(|e| json!([e.section, e.key, e.value]))
            .collect(),
        Err(_) => json!("error"),
    }
}

const S: Opt<Option<String>> = Opt::string("g", "s");
const B: Opt<Option<bool>> = Opt::boolean("g", "b");
const I: Opt<Option<i64>> = Opt::integer("g", "i");
const F: Opt<Option<f64>> = Opt::float("g", "f");
const P: Opt<Option<u16>> = Opt::port("g", "p");
const L: Opt<Option<Vec<String>>> = Opt::list("g", "l");
const M: Opt<Option<Vec<String>>> = Opt::multi("g", "m");
const D: Opt<Option<Vec<(String, String)>>> = Opt::dict("g", "d");
const X: Opt<String> = Opt::string("DEFAULT", "x").default("dx");

fn config(text: &str, file: &Path) -> std::io::Result<Value> {
    std::fs::write(file, text)?;
    let schema = Schema::new()
        .with(&S)
        .with(&B)
        .with(&I)
        .with(&F)
        .with(&P)
        .with(&L)
        .with(&M)
        .with(&D)
        .with(&X);
    Ok(match schema.load(&Sources::default().file(file)) {
        Ok(found) => json!({
            "s": found.get(&S), "b": found.get(&B), "i": found.get(&I), "f": found.get(&F), "p": found.get(&P),
            "l": found.get(&L), "m": found.get(&M), "x": found.get(&X),
            "d": found.get(&D).map(|d| d.into_iter().map(|(k, v)| (k, json!(v))).collect::<serde_json::Map<_, _>>()),
        }),
        Err(_) => json!("error"),
    })
}
