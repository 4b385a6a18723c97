//! The JUnit files that nextest and pytest write, and the lines that `cargo test` prints.

use regex::Regex;

use crate::results::Tally;

pub fn parse(xml: &str) -> anyhow::Result<Tally> {
    let case = Regex::new(r"(?s)<testcase\s([^>]*?)(?:/>|>(.*?)</testcase>)")?;
    let name = Regex::new(r#"(?:^|\s)name="([^"]*)""#)?;
    let mut tally = Tally::default();
    for found in case.captures_iter(xml) {
        let name = name
            .captures(&found[1])
            .map(|it| unescape(&it[1]))
            .unwrap_or_default();
        let body = found.get(2).map_or("", |it| it.as_str());
        if body.contains("<skipped") {
            tally.skipped += 1;
        } else {
            // A test's name is its last part; the modules around it may move.
            let name = name.rsplit("::").next().unwrap_or_default();
            tally.add(name, !body.contains("<failure") && !body.contains("<error"));
        }
    }
    Ok(tally)
}

/// nextest leaves ignored tests out of its file and counts them in its last line.
pub fn skipped_by_nextest(lines: &[String]) -> anyhow::Result<u64> {
    let summary = Regex::new(r"tests? run: .*?(\d+) skipped")?;
    let found = lines
        .iter()
        .rev()
        .find_map(|it| summary.captures(it))
        .and_then(|it| it[1].parse().ok());
    Ok(found.unwrap_or(0))
}

pub fn cargo_test(lines: &[String]) -> anyhow::Result<Tally> {
    let test =
        Regex::new(r"^test (.+?)(?: - should panic| - compile(?: fail)?)? \.\.\. (ok|FAILED|ignored)")?;
    let mut tally = Tally::default();
    for found in lines.iter().filter_map(|it| test.captures(it)) {
        match &found[2] {
            "ignored" => tally.skipped += 1,
            end => tally.add(found[1].rsplit("::").next().unwrap_or_default(), end == "ok"),
        }
    }
    Ok(tally)
}

fn unescape(text: &str) -> String {
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'");
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_failed_and_skipped_are_told_apart() {
        let xml = r#"<testsuite name="x"><testcase classname="x" name="m::good" time="0.1"/>
            <testcase name="m::bad" classname="x"><failure message="no">text</failure></testcase>
            <testcase name="m::left"><skipped/></testcase></testsuite>"#;
        let tally = parse(xml).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 1));
        assert_eq!(tally.tests[0].name, "good");
        assert!(!tally.tests[1].passed);
    }

    #[test]
    fn ignored_tests_of_nextest_are_counted() {
        let lines = ["     Summary [   1.2s] 12 tests run: 11 passed, 1 failed, 3 skipped".to_owned()];
        assert_eq!(skipped_by_nextest(&lines).unwrap(), 3);
    }

    #[test]
    fn lines_of_cargo_test_are_read() {
        let lines = [
            "test a::b ... ok",
            "test src/lib.rs - (line 7) - compile ... ok",
            "test c ... ignored",
        ];
        let tally = cargo_test(&lines.map(str::to_owned)).unwrap();
        assert_eq!((tally.passed, tally.skipped), (2, 1));
    }
}
