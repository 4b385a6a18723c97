//! Where the product's programs are, and that they are those of the sources.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Built beside this program.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// The programs in this program's own directory. In a checkout they are built first, in the profile that this
    /// program was built in; that takes no time where nothing has changed.
    pub(crate) async fn ready(build: bool) -> Result<Self> {
        let own = std::env::current_exe().context("this program's own path can't be found")?;
        let directory = own.parent().context("this program has no directory")?.to_owned();
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let profile = directory.file_name().and_then(|name| name.to_str());
        if build && manifest.exists() && matches!(profile, Some("debug" | "release")) {
            cargo_build(&manifest, &directory, profile == Some("release")).await?;
        }
        let programs = Self { directory };
        for name in ["protector-api", "protector-engine", "protector-manage"] {
            let path = programs.path(name);
            if !path.exists() {
                bail!(
                    "{} is missing; build it with `cargo build --release -p protector-bins`",
                    path.display()
                );
            }
        }
        Ok(programs)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

async fn cargo_build(manifest: &Path, directory: &Path, release: bool) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "protector-bins", "--bins"])
        .arg("--manifest-path")
        .arg(manifest);
    if let Some(target) = directory.parent() {
        command.arg("--target-dir").arg(target);
    }
    if release {
        command.arg("--release");
    }
    let status = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("cargo can't be started")?;
    if !status.success() {
        bail!("protector's programs can't be built ({status})");
    }
    Ok(())
}
