use std::path::PathBuf;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::*;

const DEBUG: Opt<bool> = Opt::boolean("DEFAULT", "debug")
    .default("False")
    .help("Write more to the log.");
const STATE: Opt<String> = Opt::string("DEFAULT", "state_path")
    .default("/var/lib/protector")
    .help("Where state is kept.");
const LOG_DIR: Opt<Option<String>> = Opt::string("DEFAULT", "log_dir");
const PORT: Opt<u16> = Opt::port("api", "bind_port").default("8788").min(1);
const HOST: Opt<String> = Opt::host("api", "bind_host")
    .default("0.0.0.0")
    .deprecated(&[("DEFAULT", "listen")]);
const WORKERS: Opt<i64> = Opt::integer("api", "workers").default("4").min(1).max(64);
const RATIO: Opt<Option<f64>> = Opt::float("api", "ratio");
const DRIVER: Opt<String> = Opt::string("storage", "driver")
    .default("pure")
    .choices(&["pure", "mock"]);
const KEYS: Opt<String> = Opt::string("secrets", "key_repository").default("$state_path/keys");
const ROLES: Opt<Vec<String>> =
    Opt::list("service_credentials", "default_trust_roles").default("member,_member_");
const NETS: Opt<Option<Vec<String>>> = Opt::multi("security", "allowed_networks");
const MAP: Opt<Option<Vec<(String, String)>>> = Opt::dict("api", "map");
const PASSWORD: Opt<Option<SecretString>> = Opt::secret("keystone_authtoken", "password");
const URL: Opt<Option<String>> = Opt::uri("keystone_authtoken", "auth_url");
const SITE_USER: Opt<String> = Opt::string("site:*", "username")
    .required()
    .help("User at that site.");

fn schema() -> Schema {
    Schema::new()
        .with(&DEBUG)
        .with(&STATE)
        .with(&LOG_DIR)
        .with(&PORT)
        .with(&HOST)
        .with(&WORKERS)
        .with(&RATIO)
        .with(&DRIVER)
        .with(&KEYS)
        .with(&ROLES)
        .with(&NETS)
        .with(&MAP)
        .with(&PASSWORD)
        .with(&URL)
        .with(&SITE_USER)
}

struct Files(tempfile::TempDir, Sources);

fn files(texts: &[&str]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = Sources::default();
    for (index, text) in texts.iter().enumerate() {
        let path = dir.path().join(format!("{index}.conf"));
        std::fs::write(&path, text).unwrap();
        sources = sources.file(path);
    }
    Files(dir, sources)
}

fn load(text: &str) -> Config {
    schema().load(&files(&[text]).1).unwrap()
}

fn refused(text: &str) -> String {
    schema().load(&files(&[text]).1).unwrap_err().to_string()
}

#[test]
fn defaults_answer_by_type() {
    let config = load("");
    assert!(!config.get(&DEBUG));
    assert_eq!(config.get(&PORT), 8788);
    assert_eq!(config.get(&WORKERS), 4);
    assert_eq!(config.get(&LOG_DIR), None);
    assert_eq!(config.get(&KEYS), "/var/lib/protector/keys");
    assert_eq!(config.get(&ROLES), ["member", "_member_"]);
    assert!(config.warnings().is_empty());
    assert_eq!(config.location("api", "bind_port"), Some(&Location::Default));
}

#[test]
fn values_of_every_type() {
    let config = load(
        "[DEFAULT]\ndebug: YES\nlog-dir = '/var/log/x'\n[api]\nbind_port=80\nbind_host = ::1\nratio = 0.5\nmap = a:b:c, d:e\n\
         [storage]\ndriver = mock\n[service_credentials]\ndefault_trust_roles = a, b,,c,\n\
         [security]\nallowed_networks = 10.0.0.0/8\nallowed_networks = fd00::/8\n\
         [keystone_authtoken]\npassword = a#b$$c\nauth_url = http://controller:5000\n",
    );
    assert!(config.get(&DEBUG));
    assert_eq!(config.get(&LOG_DIR).as_deref(), Some("/var/log/x"));
    assert_eq!(config.get(&PORT), 80);
    assert_eq!(config.get(&HOST), "::1");
    assert_eq!(config.get(&RATIO), Some(0.5));
    assert_eq!(
        config.get(&MAP).unwrap(),
        [("a".into(), "b:c".into()), ("d".into(), "e".into())]
    );
    assert_eq!(config.get(&DRIVER), "mock");
    assert_eq!(config.get(&ROLES), ["a", "b", "", "c"]);
    assert_eq!(config.get(&NETS).unwrap(), ["10.0.0.0/8", "fd00::/8"]);
    assert_eq!(config.get(&PASSWORD).unwrap().expose_secret(), "a#b$c");
    assert_eq!(config.get(&URL).as_deref(), Some("http://controller:5000"));
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn wrong_values_name_file_line_option_value_and_what_is_accepted() {
    for (text, told) in [
        (
            "[DEFAULT]\ndebug = maybe",
            "0.conf:2: [DEFAULT] debug = \"maybe\" is not valid: accepted is true or false (also 1/0, on/off, yes/no)",
        ),
        (
            "[api]\n\nworkers = 0",
            "0.conf:3: [api] workers = \"0\" is not valid: accepted is an integer from 1 to 64",
        ),
        (
            "[api]\nbind_port = 70000",
            "0.conf:2: [api] bind_port = \"70000\" is not valid: accepted is an integer from 1 to 65535",
        ),
        (
            "[api]\nbind_host = a b",
            "0.conf:2: [api] bind_host = \"a b\" is not valid: accepted is a host name or an IP address, without a port",
        ),
        ("[api]\nratio = much", "accepted is a number"),
        (
            "[storage]\ndriver = netapp",
            "0.conf:2: [storage] driver = \"netapp\" is not valid: accepted is one of pure, mock",
        ),
        (
            "[keystone_authtoken]\nauth_url = controller",
            "accepted is a URL with its scheme, such as http://controller:5000",
        ),
        (
            "[api]\nmap = a",
            "accepted is key:value pairs separated by commas, each key once",
        ),
        (
            "[api]\nmap = ,",
            "accepted is key:value pairs separated by commas, each key once",
        ),
        (
            "[api]\nworkers =",
            "[api] workers = '' is not valid: accepted is integer value",
        ),
        (
            "[site:b]\nx = 1",
            "[site:b] username is not set, but is needed: User at that site.",
        ),
    ] {
        let error = refused(text);
        assert!(error.ends_with(told), "{error}\n{told}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let error = refused("[DEFAULT]\ndebug = maybe\n[api]\nworkers = many\n");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_secret_is_in_no_message() {
    for text in [
        "[keystone_authtoken]\npassword = pa$s3cret",
        "[keystone_authtoken]\npassword = s3cret\n[api]\nworkers = ${keystone_authtoken.password}",
        "[keystone_authtoken]\npassword = ${s3cret.s3cret}",
        "[keystone_authtoken]\npassword = x\n[api]\nworkers = 1\n s3cret\n[x\n",
    ] {
        assert!(!refused(text).contains("s3cret"), "{}", refused(text));
    }
    let config = load("[keystone_authtoken]\npassword = s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn later_files_win_and_directories_come_after_files() {
    let Files(dir, sources) = files(&["[api]\nworkers = 2\nbind_port = 1", "[API]\nworkers = 3"]);
    let conf_d = dir.path().join("conf.d");
    std::fs::create_dir(&conf_d).unwrap();
    std::fs::write(conf_d.join("b.conf"), "[api]\nbind-host = b").unwrap();
    std::fs::write(conf_d.join("a.conf"), "[api]\nbind_host = a").unwrap();
    std::fs::write(conf_d.join("c.txt"), "nonsense").unwrap();
    let config = schema().load(&sources.dir(conf_d)).unwrap();
    assert_eq!((config.get(&WORKERS), config.get(&PORT)), (3, 1));
    assert_eq!(config.get(&HOST), "b");
}

#[test]
fn the_environment_wins_over_files() {
    let Files(_dir, sources) = files(&["[api]\nworkers = 2"]);
    let config = schema()
        .load(&sources.clone().variable("OS_API__WORKERS", "5"))
        .unwrap();
    assert_eq!(config.get(&WORKERS), 5);
    let error = schema()
        .load(&sources.variable("OS_API__WORKERS", "x"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("environment variable OS_API__WORKERS: [api] workers"),
        "{error}"
    );
}

#[test]
fn references_are_resolved_in_the_group_then_in_default() {
    let config = load(
        "[DEFAULT]\nstate_path = /srv\nlog_dir = ${api.bind_host}-$$x-\\$y-$1-$ {state_path}$\n[api]\nbind_host = h",
    );
    assert_eq!(config.get(&KEYS), "/srv/keys");
    assert_eq!(
        config.get(&LOG_DIR).as_deref(),
        Some("h-$x-$y-$1-$ {state_path}$")
    );
    assert!(refused("[DEFAULT]\nstate_path = $log_dir\nlog_dir = $state_path").contains("refers to itself"));
    assert!(
        refused("[DEFAULT]\nlog_dir = $nothing")
            .contains("$ refers to \"nothing\", which is no option; write $$")
    );
}

#[test]
fn deprecated_names_work_and_warn() {
    let config = load("[DEFAULT]\nlisten = old");
    assert_eq!(config.get(&HOST), "old");
    assert!(
        config.warnings()[0]
            .to_string()
            .ends_with("0.conf:2: option [DEFAULT] listen is deprecated, use [api] bind_host")
    );
    assert_eq!(
        load("[api]\nbind_host = new\n[DEFAULT]\nlisten = old").get(&HOST),
        "new"
    );
}

#[test]
fn unknown_names_are_collected_with_the_nearest_known_one() {
    let config = load("[api]\nworker = 2\nzzz = 1\n[databse]\nx = 1\ny = 2\n[keystone_authtokn]\nq = 1");
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings[0].ends_with("0.conf:2: unknown option [api] worker; did you mean workers?"));
    assert!(warnings[1].ends_with("0.conf:3: unknown option [api] zzz"));
    assert!(warnings[2].ends_with("0.conf:5: unknown section [databse]"));
    assert!(warnings[3].ends_with("unknown section [keystone_authtokn]; did you mean keystone_authtoken?"));
}

#[test]
fn a_group_with_a_star_stands_for_many_sections() {
    let config = load("[site:a]\nusername = u1\n[site:b]\nusername = u2");
    assert_eq!(config.groups("site:*"), ["site:a", "site:b"]);
    assert_eq!(config.get_in("site:b", &SITE_USER), "u2");
    assert!(config.warnings().is_empty());
}

#[test]
fn what_cannot_be_read_is_named_with_its_cause() {
    let error = schema()
        .load(&Sources::default().file("/nonexistent/x.conf"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "cannot read the configuration /nonexistent/x.conf: No such file or directory (os error 2)"
    );
    let Files(dir, _) = files(&[]);
    let path: PathBuf = dir.path().join("latin1.conf");
    std::fs::write(&path, b"[a]\nx = \xe9").unwrap();
    let error = schema()
        .load(&Sources::default().file(path))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("latin1.conf: the file is not UTF-8 text"),
        "{error}"
    );
}

#[test]
fn the_sample_shows_every_option_and_can_be_loaded() {
    let sample = schema().sample();
    assert!(sample.starts_with("[DEFAULT]\n"), "{sample}");
    assert!(
        sample.contains("# Write more to the log. (boolean value)\n#debug = False\n"),
        "{sample}"
    );
    assert!(
        sample.contains("# Minimum value: 1\n# Maximum value: 64\n#workers = 4\n"),
        "{sample}"
    );
    assert!(
        sample.contains("# Deprecated group/name - [DEFAULT]/listen\n"),
        "{sample}"
    );
    assert!(sample.contains("# Possible values: pure, mock\n"), "{sample}");
    assert!(load(&sample).warnings().is_empty());
}

proptest! {
    #[test]
    fn loading_never_panics(text in "(\\[(api|DEFAULT|security|site:x)\\]\n|(debug|workers|map|bind_host|log_dir|state_path|username|allowed_networks)( = |: )[$a-z{}.0-9\\\\,: ]{0,12}\n){0,12}") {
        let _ = schema().load(&files(&[&text]).1);
    }
}
