//! Looking into a server as an administrator does: by its own client.

use anyhow::{Result, ensure};

use crate::files::{PASSWORD, USER, text};
use crate::program;

/// How a server on this machine is reached.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub port: u16,
}

impl Client {
    /// The rows of a statement, each as its columns in text.
    pub fn sql(&self, database: &str, statement: &str) -> Result<Vec<Vec<String>>> {
        let output = program("mariadb")?
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--user={USER}"))
            .env("MYSQL_PWD", PASSWORD)
            .args([
                "--default-character-set=utf8mb4",
                "--batch",
                "--skip-column-names",
            ])
            .arg(format!("--execute={statement}"))
            .arg(database)
            .output()?;
        ensure!(output.status.success(), "{statement}: {}", text(&output));
        let rows = String::from_utf8(output.stdout)?;
        Ok(rows
            .lines()
            .map(|row| row.split('\t').map(str::to_owned).collect())
            .collect())
    }

    /// An empty database of that name, and its connection string as OpenStack writes it.
    pub fn create(&self, database: &str) -> Result<String> {
        // The server's own default for text is not what the schema relies on.
        let statement = format!("CREATE DATABASE `{database}` CHARACTER SET latin1");
        self.sql("mysql", &statement)?;
        Ok(self.dsn(database))
    }

    pub fn dsn(&self, database: &str) -> String {
        let password: String = PASSWORD
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        format!(
            "mysql+pymysql://{USER}:{password}@127.0.0.1:{}/{database}?charset=utf8mb4",
            self.port
        )
    }
}
