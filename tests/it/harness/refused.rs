//! Programs that refuse to start, and what they say of it.

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::programs::run;
use super::stack::{Conf, free_port};

/// A program with what stands before its options.
pub type Call = (&'static str, &'static [&'static str]);

pub const SERVICES: &[Call] = &[("protector-api", &[]), ("protector-engine", &[])];
pub const ALL: &[Call] = &[
    ("protector-api", &[]),
    ("protector-engine", &[]),
    ("protector-manage", &["db", "sync"]),
];

/// What each says, logs included, with this at the end of the configuration of a site that was set up before.
pub async fn refused_start(more: &str, programs: &[Call]) -> Result<Vec<String>> {
    let directory = TempDir::new()?;
    let mut conf = Conf {
        auth_url: "http://127.0.0.1:9/identity/v3".to_owned(),
        password: "keystone-password".to_owned(),
        port: free_port()?,
        more: String::new(),
    };
    let path = conf.write(directory.path())?;
    let path = path.to_string_lossy();
    let made = run("protector-manage", &["db", "sync", "--config-file", &path]).await?;
    ensure!(made.status.success(), "{made:?}");
    // Then somebody gets it wrong.
    more.clone_into(&mut conf.more);
    conf.write(directory.path())?;
    let mut said = Vec::new();
    for (program, before) in programs {
        let mut arguments = before.to_vec();
        arguments.extend(["--config-file", &path]);
        let output = run(program, &arguments).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        ensure!(!output.status.success(), "{program} started: {text}");
        for file in std::fs::read_dir(directory.path().join("log"))
            .into_iter()
            .flatten()
        {
            text.push_str(&std::fs::read_to_string(file?.path())?);
        }
        said.push(format!("{program}: {text}"));
    }
    Ok(said)
}
