//! `protector-dev saga`: the saga by which recovery and takeover are tried by hand.

use std::time::Duration;

use crate::harness::programs::{Program, run};
use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

struct Demo {
    place: TempDir,
}

impl Demo {
    fn engine(&self, name: &str) -> Result<Program> {
        let place = self.place.path().to_string_lossy();
        let log = self.place.path().join(format!("{name}.out"));
        let arguments = [
            "saga",
            "--dir",
            &place,
            "engine",
            "--name",
            name,
            "--lease-ms",
            "600",
        ];
        Program::start("protector-dev", &arguments, &log)
    }

    async fn says(&self, what: &[&str]) -> Result<String> {
        let place = self.place.path().to_string_lossy();
        let mut arguments = vec!["saga", "--dir", &*place];
        arguments.extend(what);
        let output = run("protector-dev", &arguments).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    async fn shows(&self, wanted: &str) -> Result<String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let journal = self.says(&["show"]).await?;
            if journal.contains(wanted) {
                return Ok(journal);
            }
            ensure!(Instant::now() < end, "no '{wanted}' in\n{journal}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn one_engine_is_killed_and_another_one_takes_the_demo_saga_over() -> Result<()> {
    let demo = Demo {
        place: TempDir::new()?,
    };
    demo.says(&["start"]).await?;
    let first = demo.engine("first")?;
    demo.shows("wait-for-release, attempt 1").await?;
    let _second = demo.engine("second")?;
    first.kill().await?;
    demo.shows("wait-for-release, attempt 2").await?;
    demo.says(&["release"]).await?;
    let journal = demo.shows("Completed").await?;
    ensure!(journal.contains("prepare by first:"), "{journal}");
    ensure!(journal.contains("wait-for-release by second:"), "{journal}");
    Ok(())
}
