//! Log lines in oslo.log's shape, which operators' tools cut into columns:
//! `2026-11-21 10:00:00.123 4711 WARNING some.target [req-... user project] message key=value`.
//!
//! They go to standard error (the journal, under systemd) and, with `log_dir`, into a file as well. An event is one
//! line and one write, so that processes can share a file and nothing that a client sent can forge a line.
//! Files are appended to and not rotated: logrotate's `copytruncate` does that.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Config, Declaration, Opt};

const DEBUG: Opt<bool> = Opt::boolean("DEFAULT", "debug")
    .default("False")
    .help("Write every step to the log. Secrets are left out even then.");
const LOG_DIR: Opt<Option<String>> = Opt::string("DEFAULT", "log_dir")
    .deprecated(&[("DEFAULT", "logdir")])
    .help("The directory of the log files. Without it the log goes to standard error alone.");

pub const OPTIONS: &[Declaration] = &[*DEBUG.declaration(), *LOG_DIR.declaration()];

/// Libraries that would tell every frame and header at debug level, tokens among them.
const QUIET: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tower",
    "tower_http",
    "sqlx",
];

/// Libraries whose failures this product tells itself, in words of its own. lapin's would say of every lost
/// connection that recovery was aborted, which is not what happens.
const SILENT: [&str; 1] = ["lapin"];

#[derive(Debug, Clone, Default)]
pub struct LogSettings {
    /// The name of the program, and of its log file.
    pub name: String,
    pub debug: bool,
    pub log_dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("[DEFAULT] log_dir: cannot write to {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("logging has been set up before")]
    Twice,
}

impl LogSettings {
    pub fn from_config(name: impl Into<String>, config: &Config) -> Self {
        LogSettings {
            name: name.into(),
            debug: config.get(&DEBUG),
            log_dir: config
                .get(&LOG_DIR)
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
        }
    }

    fn filter(&self) -> EnvFilter {
        let level = if self.debug { "debug" } else { "info" };
        let quiet = QUIET.iter().map(|name| format!("{name}=info"));
        let silent = SILENT.iter().map(|name| format!("{name}=off"));
        quiet
            .chain(silent)
            .fold(EnvFilter::new(level), |filter, directive| {
                match directive.parse() {
                    Ok(directive) => filter.add_directive(directive),
                    Err(_) => filter,
                }
            })
    }
}

/// Sets up the log of the process.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let writer = match &settings.log_dir {
        Some(dir) => BoxMakeWriter::new(std::io::stderr.and(Arc::new(open(dir, &settings.name)?))),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    tracing::subscriber::set_global_default(subscriber(settings, writer)).map_err(|_| LogError::Twice)
}

/// The same for a writer of one's own.
pub fn subscriber(settings: &LogSettings, writer: BoxMakeWriter) -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_env_filter(settings.filter())
        .with_ansi(false)
        .event_format(OsloFormat {
            pid: std::process::id(),
        })
        .with_writer(writer)
        .finish()
}

fn open(dir: &Path, name: &str) -> Result<File, LogError> {
    let path = dir.join(format!("{name}.log"));
    std::fs::create_dir_all(dir)
        .and_then(|()| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .open(&path)
        })
        .map_err(|source| LogError::File { path, source })
}

struct OsloFormat {
    pid: u32,
}

impl<S, N> FormatEvent<S, N> for OsloFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = chrono::Local::now().format("%Y-%m-%d %H:%M:%S%.3f");
        let meta = event.metadata();
        let level = match *meta.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let target = meta.target().replace("::", ".");
        write!(out, "{now} {} {level} {target} [{}] ", self.pid, context(ctx))?;

        let mut message = String::new();
        ctx.field_format()
            .format_fields(Writer::new(&mut message), event)?;
        for c in message.chars() {
            if c.is_control() && c != '\t' {
                write!(out, "{}", c.escape_default())?;
            } else {
                out.write_char(c)?;
            }
        }
        writeln!(out)
    }
}

/// What stands between the brackets: request, user, project, from the spans around the event; `-` outside of one.
fn context<S, N>(ctx: &FmtContext<'_, S, N>) -> String
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut found = [const { None }; 4];
    for span in ctx.event_scope().into_iter().flatten() {
        let extensions = span.extensions();
        let Some(fields) = extensions.get::<FormattedFields<N>>() else {
            continue;
        };
        for (slot, key) in
            found
                .iter_mut()
                .zip(["global_request_id=", "request_id=", "user_id=", "project_id="])
        {
            if slot.is_none() {
                *slot = fields
                    .fields
                    .split(' ')
                    .find_map(|field| field.strip_prefix(key))
                    .map(plain);
            }
        }
    }
    let words: Vec<String> = found.into_iter().flatten().collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(" ")
    }
}

/// Without the quotes of a text that was recorded as such, and without anything that could break the line.
fn plain(field: &str) -> String {
    field
        .trim_matches('"')
        .chars()
        .filter(|c| !c.is_control() && *c != ']')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn logged(debug: bool, events: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            name: "api".into(),
            debug,
            log_dir: None,
        };
        let file = open(dir.path(), "api").unwrap();
        let subscriber = subscriber(&settings, BoxMakeWriter::new(Arc::new(file)));
        tracing::subscriber::with_default(subscriber, events);
        let mut text = String::new();
        File::open(dir.path().join("api.log"))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn a_line_has_the_columns_of_oslo_log() {
        let text = logged(
            false,
            || tracing::warn!(target: "keystonemiddleware.auth_token", code = 401, "Identity response"),
        );
        let shape = format!(
            " {} WARNING keystonemiddleware.auth_token [-] Identity response code=401\n",
            std::process::id()
        );
        let (time, rest) = text.split_at(23);
        assert_eq!(rest, shape);
        assert!(
            chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%.3f").is_ok(),
            "{time}"
        );
    }

    #[test]
    fn lines_inside_a_request_carry_its_ids() {
        let text = logged(false, || {
            let span = tracing::error_span!("request", request_id = %"req-1", user_id = tracing::field::Empty, project_id = tracing::field::Empty);
            let _entered = span.enter();
            tracing::info!("before");
            span.record("user_id", "u1");
            span.record("project_id", "p1");
            tracing::info_span!("inner", step = 3).in_scope(|| tracing::info!("after"));
        });
        assert!(text.contains(" [req-1] before\n"), "{text}");
        assert!(text.contains(" [req-1 u1 p1] after\n"), "{text}");
        assert!(text.contains(" protector_oslo.logging.tests "), "{text}");
    }

    #[test]
    fn debug_is_on_request_and_never_for_chatty_libraries() {
        let events = || {
            tracing::debug!("ours");
            tracing::debug!(target: "h2::codec", "frame");
            tracing::error!(target: "lapin::io_loop", "recovery aborted");
        };
        assert_eq!(logged(false, events), "");
        let text = logged(true, events);
        assert!(
            text.contains("DEBUG")
                && text.contains("ours")
                && !text.contains("frame")
                && !text.contains("aborted"),
            "{text}"
        );
    }

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let text = logged(false, || tracing::error!("a\n2026-11-21 forged\r\u{1b}[31m"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_log_dir_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let error = open(&blocked, "api").unwrap_err().to_string();
        assert!(
            error.starts_with("[DEFAULT] log_dir: cannot write to ") && error.ends_with("/api.log"),
            "{error}"
        );
    }
}
