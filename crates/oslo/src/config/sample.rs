//! The sample file: every option with its help, type and default, commented out.

use std::fmt::Write;

use super::option::Declaration;
use super::schema::Schema;

const WIDTH: usize = 78;

impl Schema {
    /// The text of a sample configuration file.
    pub fn sample(&self) -> String {
        let mut groups: Vec<&str> = Vec::new();
        for option in &self.options {
            if !groups.contains(&option.group) {
                groups.push(option.group);
            }
        }
        // [DEFAULT] comes first, whoever declared an option first.
        groups.sort_by_key(|group| *group != "DEFAULT");

        let mut out = String::new();
        for group in groups {
            if !out.is_empty() {
                out.push('\n');
            }
            // A section for every name can't be set by one that is called `*`.
            let shown = group.replace('*', "<name>");
            let mark = if group.ends_with('*') { "#" } else { "" };
            let _ = writeln!(out, "{mark}[{shown}]");
            for option in self.options.iter().filter(|option| option.group == group) {
                describe(&mut out, option);
            }
        }
        out
    }
}

fn describe(out: &mut String, option: &Declaration) {
    let _ = writeln!(out, "\n#");
    let help = if option.help.is_empty() {
        option.name
    } else {
        option.help
    };
    for line in wrap(&format!("{help} ({})", option.kind.label())) {
        let _ = writeln!(out, "# {line}");
    }
    if let Some(min) = option.min {
        let _ = writeln!(out, "# Minimum value: {min}");
    }
    if let Some(max) = option.max {
        let _ = writeln!(out, "# Maximum value: {max}");
    }
    if !option.choices.is_empty() {
        let _ = writeln!(out, "# Possible values: {}", option.choices.join(", "));
    }
    for (group, name) in option.deprecated {
        let _ = writeln!(out, "# Deprecated group/name - [{group}]/{name}");
    }
    if option.required {
        let _ = writeln!(out, "# This option has to be set.");
    }
    let _ = match option.default {
        Some(default) => writeln!(out, "#{} = {default}", option.name),
        None => writeln!(out, "#{} = <None>", option.name),
    };
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}
