//! protector.conf: what each documented option does, by which rules the file is read, and what is said of mistakes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::harness::Stack;
use crate::harness::programs::{Program, run};
use crate::harness::refused::{ALL, SERVICES, refused_start};
use crate::harness::stack::free_port;
use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(20);

/// One site's protector with a configuration that is all the test's own.
struct Alone {
    directory: TempDir,
    files: Vec<String>,
    programs: Vec<Program>,
}

impl Alone {
    /// The words `HERE` and `PORT` in the text stand for its directory and a free port.
    async fn configured(text: &str) -> Result<(Self, u16)> {
        let (directory, port) = (TempDir::new()?, free_port()?);
        let mut alone = Self {
            directory,
            files: Vec::new(),
            programs: Vec::new(),
        };
        alone.file("protector.conf", &text.replace("PORT", &port.to_string()))?;
        Ok((alone, port))
    }

    fn here(&self) -> &Path {
        self.directory.path()
    }

    /// One more `--config-file`.
    fn file(&mut self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.here().join(name);
        std::fs::write(&path, text.replace("HERE", &self.here().to_string_lossy()))?;
        self.files.push(path.to_string_lossy().into_owned());
        Ok(path)
    }

    fn arguments<'a>(&'a self, before: &[&'a str]) -> Vec<&'a str> {
        let files = self
            .files
            .iter()
            .flat_map(|file| ["--config-file", file.as_str()]);
        before.iter().copied().chain(files).collect()
    }

    async fn made(&self) -> Result<()> {
        let made = run("protector-manage", &self.arguments(&["db", "sync"])).await?;
        ensure!(made.status.success(), "{made:?}");
        Ok(())
    }

    /// Start a program; answers its process.
    fn start(&mut self, program: &str) -> Result<u32> {
        let log = self.here().join(format!("{program}.out"));
        let started = Program::start(program, &self.arguments(&[]), &log)?;
        let pid = started.pid()?;
        self.programs.push(started);
        Ok(pid)
    }

    fn output(&self, program: &str) -> String {
        std::fs::read_to_string(self.here().join(format!("{program}.out"))).unwrap_or_default()
    }
}

/// Look until there is something.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "{what} never comes");
        sleep(Duration::from_millis(50)).await;
    }
}

fn http() -> Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}

async fn answers(url: &str) -> Result<reqwest::Response> {
    let http = http()?;
    until(url, async || Ok(http.get(url).send().await.ok())).await
}

/// A Keystone that only writes down how somebody signs in, and refuses him.
async fn keystone() -> Result<(String, Arc<Mutex<Vec<Value>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/identity", listener.local_addr()?);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let written = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while let Ok(length) = stream.read(&mut part).await {
                request.extend_from_slice(&part[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some(body) = text.split("\r\n\r\n").nth(1)
                    && let Ok(body) = serde_json::from_str(body)
                {
                    written.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                    break;
                }
                if length == 0 {
                    break;
                }
            }
            let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((url, asked))
}

/// A RabbitMQ that only asks who is there, and what came of it.
async fn broker() -> Result<(u16, Arc<Mutex<Vec<u8>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let came = Arc::new(Mutex::new(Vec::new()));
    let written = came.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut header = [0; 8];
            if stream.read_exact(&mut header).await.is_err() {
                continue;
            }
            // connection.start: version 0-9, no properties, mechanisms PLAIN, locales en_US.
            let mut payload = vec![0, 10, 0, 10, 0, 9, 0, 0, 0, 0];
            for word in ["PLAIN", "en_US"] {
                payload.extend([0, 0, 0, 5]);
                payload.extend(word.as_bytes());
            }
            let mut frame = vec![1, 0, 0, 0, 0, 0, payload.len() as u8];
            frame.extend(payload);
            frame.push(0xCE);
            let _ = stream.write_all(&frame).await;
            let mut part = [0; 4096];
            if let Ok(length) = stream.read(&mut part).await {
                let mut all = written.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend_from_slice(&part[..length]);
            }
        }
    });
    Ok((port, came))
}

const PLACES: &str = "[DEFAULT]\nstate_path = HERE/state\n[api]\nbind_host = 127.0.0.1\nbind_port = PORT\n\
    [keystone_authtoken]\nauth_url = http://127.0.0.1:9\nusername = protector\npassword = geheim\nproject_name = service\n\
    [security]\nallowed_networks = 127.0.0.0/8\n";

/// `debug`, `log_dir`, `state_path`, `bind_host`, `bind_port`, `workers`, `connection`.
#[tokio::test]
async fn p8_places_and_sizes_are_as_configured() -> Result<()> {
    let conf = |more: &str, workers: u32| {
        format!(
            "[DEFAULT]\n{more}log_dir = HERE/logs\nstate_path = HERE/state\n\
             [api]\nbind_host = 127.0.0.2\nbind_port = PORT\nworkers = {workers}\n\
             [database]\nconnection = sqlite:///HERE/elsewhere/own.db\n\
             [keystone_authtoken]\nauth_url = http://127.0.0.1:9\nusername = protector\npassword = geheim\nproject_name = service\n"
        )
    };
    let mut threads = Vec::new();
    let mut talkative = Vec::new();
    for (debug, workers) in [("", 2), ("debug = True\n", 9)] {
        let (mut alone, port) = Alone::configured(&conf(debug, workers)).await?;
        std::fs::create_dir(alone.here().join("elsewhere"))?;
        alone.made().await?;
        ensure!(alone.here().join("elsewhere/own.db").is_file());
        ensure!(alone.here().join("state/keys").is_dir());
        ensure!(!alone.here().join("state/protector.db").exists());
        let pid = alone.start("protector-api")?;
        answers(&format!("http://127.0.0.2:{port}/")).await?;
        let elsewhere = http()?.get(format!("http://127.0.0.1:{port}/")).send().await;
        ensure!(elsewhere.is_err(), "it listens on 127.0.0.1 too");
        threads.push(threads_of(pid)?);
        alone.start("protector-engine")?;
        let log = until("the engine's log", async || {
            let found =
                std::fs::read_to_string(alone.here().join("logs/protector-engine.log")).unwrap_or_default();
            Ok(found.contains("protector-engine works").then_some(found))
        })
        .await?;
        let api = std::fs::read_to_string(alone.here().join("logs/protector-api.log"))?;
        ensure!(api.contains("protector-api listens on 127.0.0.2"), "{api}");
        // The journal has it too.
        ensure!(
            alone
                .output("protector-engine")
                .contains("protector-engine works")
        );
        talkative.push(format!("{api}{log}").contains(" DEBUG "));
    }
    assert_eq!(
        talkative,
        [false, true],
        "debug decides whether there are lines of it"
    );
    assert_eq!(threads[1] - threads[0], 7, "workers are threads: {threads:?}");
    Ok(())
}

/// The threads that serve requests.
fn threads_of(pid: u32) -> Result<usize> {
    let mut found = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = std::fs::read_to_string(entry?.path().join("comm"))?;
        found += usize::from(name.starts_with("tokio-"));
    }
    Ok(found)
}

/// All of `[keystone_authtoken]` that says who signs in where, by its present names and by the older ones.
#[tokio::test]
async fn p8_the_service_signs_in_as_configured() -> Result<()> {
    for (uri, servers) in [
        ("www_authenticate_uri", "memcached_servers"),
        ("auth_uri", "memcache_servers"),
    ] {
        let (url, asked) = keystone().await?;
        let conf = format!(
            "[DEFAULT]\nstate_path = HERE/state\n[api]\nbind_host = 127.0.0.1\nbind_port = PORT\n\
             [keystone_authtoken]\n{uri} = http://public.example:5000\nauth_url = {url}\n{servers} = controller:11211\n\
             auth_type = password\nproject_domain_name = P-Domain\nuser_domain_name = U-Domain\n\
             project_name = my-service\nusername = my-user\npassword = pass$$#word;1\n"
        );
        let (mut alone, port) = Alone::configured(&conf).await?;
        alone.made().await?;
        alone.start("protector-api")?;
        let root = format!("http://127.0.0.1:{port}");
        answers(&format!("{root}/")).await?;
        let path = format!("{root}/v1/0123456789abcdef0123456789abcdef/protection-groups");
        let unknown = http()?.get(&path).send().await?;
        assert_eq!(unknown.status(), 401);
        assert_eq!(
            unknown.headers()["www-authenticate"],
            "Keystone uri=\"http://public.example:5000\""
        );
        http()?
            .get(&path)
            .header("x-auth-token", "a-token")
            .send()
            .await?;
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sign_in = asked.first().context("nobody signed in")?;
        let user = &sign_in["auth"]["identity"]["password"]["user"];
        assert_eq!(user["name"], "my-user");
        assert_eq!(user["password"], "pass$#word;1");
        assert_eq!(user["domain"]["name"], "U-Domain");
        let project = &sign_in["auth"]["scope"]["project"];
        assert_eq!(project["name"], "my-service");
        assert_eq!(project["domain"]["name"], "P-Domain");
        // An older name is taken and told.
        let told = alone
            .output("protector-api")
            .contains("auth_uri is deprecated, use [keystone_authtoken] www_authenticate_uri");
        assert_eq!(told, uri == "auth_uri", "{}", alone.output("protector-api"));
    }
    let kind = "[keystone_authtoken]\nauth_type = v3kerberos\n";
    for said in refused_start(kind, SERVICES).await? {
        ensure!(
            said.contains("[keystone_authtoken] auth_type") && said.contains("password"),
            "{said}"
        );
    }
    Ok(())
}

/// The broker in each of the three ways in which the documents and older releases name it.
#[tokio::test]
async fn p8_the_broker_is_named_in_each_documented_way() -> Result<()> {
    for place in [
        "[DEFAULT]\ntransport_url = rabbit://user-7:word-7@127.0.0.1:BROKER/v7\n",
        "[oslo_messaging_rabbit]\ntransport_url = rabbit://user-7:word-7@127.0.0.1:BROKER/v7\n",
        "[oslo_messaging_rabbit]\nrabbit_host = 127.0.0.1\nrabbit_port = BROKER\nrabbit_userid = user-7\n\
         rabbit_password = word-7\nrabbit_virtual_host = v7\n",
    ] {
        let (port, came) = broker().await?;
        let conf = format!("{PLACES}{}", place.replace("BROKER", &port.to_string()));
        let (mut alone, _) = Alone::configured(&conf).await?;
        alone.made().await?;
        alone.start("protector-engine")?;
        until("a sign-in at the broker", async || {
            let came = came.lock().unwrap_or_else(PoisonError::into_inner);
            let known = b"\0user-7\0word-7";
            Ok(came.windows(known.len()).any(|part| part == known).then_some(()))
        })
        .await?;
        let said = alone.output("protector-engine");
        ensure!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
        ensure!(!said.contains("word-7"), "{said}");
    }
    Ok(())
}

/// `[oslo_policy] policy_file` and `[service_credentials] default_trust_roles`.
#[tokio::test]
async fn p8_rules_and_roles_are_as_configured() -> Result<()> {
    let rules = TempDir::new()?;
    let file = rules.path().join("own-rules.yaml");
    std::fs::write(&file, "\"protector:operations:index\": \"!\"\n")?;
    let more = format!(
        "[oslo_policy]\npolicy_file = {}\n[service_credentials]\ndefault_trust_roles = reader,_member_\n",
        file.display()
    );
    let stack = Stack::configured(&more).await?;
    let pair = stack.pair("demo").await?;
    let refused = pair.here.call(Method::GET, "/operations", None).await?;
    let message = refused.fault("forbidden", 403)?;
    ensure!(message.contains("protector:operations:index"), "{message}");
    pair.here.get("/protection-groups").await?;

    let id = uuid::Uuid::new_v4().to_string();
    let body = stack.group_body(&id, "web", "replicated-ssd", "async").await?;
    pair.change(&id, Method::POST, "/protection-groups", Some(&body))
        .await?
        .ok(202)?;
    let trusts = stack
        .simulation
        .calls("site-a", "POST", "OS-TRUST/trusts")
        .await?;
    let trust = trusts.first().context("no trust was made")?;
    assert_eq!(
        trust["body"]["trust"]["roles"],
        json!([{"name": "reader"}]),
        "{trust}"
    );
    Ok(())
}

/// The file's own rules, as oslo.config has them: the meaning of each line shows in what the programs do.
#[tokio::test]
async fn p8_the_file_is_read_by_the_rules_of_oslo_config() -> Result<()> {
    let conf = "# a comment\n; and another\n\
        [DEFAULT]\nstate_path = HERE/state\nlogdir = ${state_path}/log\ndebug: yes\n\
        [api]\nbind_port = 1\nbind_host = '127.0.0.1'\n\
        [database]\nconnection = sqlite:///$state_path/${api.bind_host}.db\n\
        [api]\nbind_port = PORT\n\
        [keystone_authtoken]\nauth_url = http://127.0.0.1:9\nusername = protector\npassword = \"ge$$heim\"\n\
        project-name = service\nmemcached_servers = one:11211,\n    two:11211\n\
        [security]\nallowed_networks = 127.0.0.0/8,\n  ::1\n";
    let (mut alone, port) = Alone::configured(conf).await?;
    // $other is another option's value, in the same section or the one that is named.
    alone.made().await?;
    ensure!(alone.here().join("state/127.0.0.1.db").is_file());
    // The later line counts, quotes are dropped, a default is what nobody set.
    alone.start("protector-api")?;
    answers(&format!("http://127.0.0.1:{port}/")).await?;
    let log = std::fs::read_to_string(alone.here().join("state/log/protector-api.log"))?;
    ensure!(
        log.contains(&format!("protector-api listens on 127.0.0.1:{port}")),
        "{log}"
    );
    ensure!(
        log.contains("[DEFAULT] logdir is deprecated, use [DEFAULT] log_dir"),
        "{log}"
    );
    // A value that refers to what isn't there, or to itself.
    for (wrong, name) in [
        ("[DEFAULT]\nlog_dir = $nothing/log\n", "log_dir"),
        ("[DEFAULT]\nlog_dir = $log_dir/log\n", "log_dir"),
    ] {
        for said in refused_start(wrong, ALL).await? {
            ensure!(said.contains(name) && said.contains('$'), "{said}");
        }
    }
    Ok(())
}

/// Given once, given again, and not given.
#[tokio::test]
async fn p8_config_file_names_the_file_and_later_ones_win() -> Result<()> {
    let (mut alone, _) = Alone::configured(PLACES).await?;
    alone.file(
        "second.conf",
        "[database]\nconnection = sqlite:///HERE/state/second.db\n",
    )?;
    alone.made().await?;
    ensure!(alone.here().join("state/second.db").is_file());
    // What the second doesn't say is as the first one has it.
    ensure!(alone.here().join("state/keys").is_dir());
    alone.file(
        "third.conf",
        "[database]\nconnection = sqlite:///HERE/state/third.db\n",
    )?;
    alone.made().await?;
    ensure!(alone.here().join("state/third.db").is_file());

    alone
        .files
        .push(alone.here().join("absent.conf").to_string_lossy().into_owned());
    let output = run("protector-manage", &alone.arguments(&["db", "sync"])).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && said.contains("absent.conf"), "{said}");
    Ok(())
}

/// Without the option it is /etc/protector/protector.conf, here in an /etc of the test's own.
#[tokio::test]
async fn p8_the_default_file_is_in_etc_protector() -> Result<()> {
    let (alone, _) = Alone::configured(PLACES).await?;
    let program = crate::harness::programs::binary("protector-manage")?;
    let isolated = async |setup: &str| -> Result<std::process::Output> {
        let script = format!("mount -t tmpfs none /etc && {setup} exec \"$0\" db sync");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        command.arg(&program).env("CONF", &alone.files[0]);
        command
            .output()
            .await
            .context("unshare (of util-linux) can't start")
    };
    let missing = isolated("").await?;
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    ensure!(!missing.status.success(), "{said}");
    ensure!(
        said.contains("/etc/protector/protector.conf") && said.contains("--config-file"),
        "{said}"
    );
    let found = isolated("mkdir /etc/protector && cp \"$CONF\" /etc/protector/protector.conf &&").await?;
    ensure!(found.status.success(), "{found:?}");
    ensure!(alone.here().join("state/protector.db").is_file());
    Ok(())
}

/// Section, option, place and rule of every mistake at once; of a secret only that it is one.
#[tokio::test]
async fn p8_a_malformed_value_is_named_at_start_with_its_rule() -> Result<()> {
    let wrong = [
        ("DEFAULT", "debug", "perhaps", "true or false"),
        (
            "api",
            "bind_host",
            "127.0.0.1:8788",
            "a host name or an IP address, without a port",
        ),
        ("api", "bind_port", "70000", "from 0 to 65535"),
        ("api", "workers", "0", "from 1 to 256"),
        (
            "keystone_authtoken",
            "auth_url",
            "controller",
            "a URL with its scheme",
        ),
        ("storage", "driver", "floppy", "one of pure"),
        ("cinder", "import_as", "nobody", "one of service, tenant"),
        ("engine", "lease_seconds", "soon", "an integer from 1 to 3600"),
    ];
    let mut more = String::new();
    for (section, option, value, _) in wrong {
        more.push_str(&format!("[{section}]\n{option} = {value}\n"));
    }
    for said in refused_start(&more, ALL).await? {
        for (section, option, value, rule) in wrong {
            let line = said
                .lines()
                .find(|line| line.contains(&format!("[{section}] {option} ")))
                .with_context(|| format!("no word of {option}: {said}"))?;
            ensure!(line.contains("protector.conf:"), "no place: {line}");
            ensure!(line.contains(value) && line.contains(rule), "{line}");
        }
        ensure!(!said.contains("panicked"), "{said}");
    }
    for (secret, option) in [
        (
            "[DEFAULT]\ntransport_url = rabbit://protector:geheim-9@:::/\n",
            "transport_url",
        ),
        ("[DEFAULT]\ntransport_url = geheim-9\n", "transport_url"),
        ("[keystone_authtoken]\npassword = $geheim-9\n", "password"),
        ("[database]\nconnection = geheim-9\n", "connection"),
        ("[keystone_authtoken]\n geheim-9\n", "protector.conf:"),
    ] {
        for said in refused_start(secret, SERVICES).await? {
            ensure!(said.contains(option), "{said}");
            ensure!(!said.contains("geheim"), "a secret is told: {said}");
        }
    }
    Ok(())
}

/// Nobody is kept from starting by them, as with oslo.config, but they are named with what was meant.
#[tokio::test]
async fn p8_unknown_names_are_told_at_start() -> Result<()> {
    let unknown = format!(
        "{PLACES}[api]\nbind_prot = 1\n[keystone_authtokens]\nauth_url = x\n[DEFAULT]\ndebgu = True\n"
    );
    let (mut alone, port) = Alone::configured(&unknown).await?;
    let told = [
        "unknown option [api] bind_prot; did you mean bind_port?",
        "unknown section [keystone_authtokens]; did you mean keystone_authtoken?",
        "unknown option [DEFAULT] debgu; did you mean debug?",
    ];
    let output = run("protector-manage", &alone.arguments(&["db", "sync"])).await?;
    let mut said = vec![String::from_utf8_lossy(&output.stderr).into_owned()];
    ensure!(output.status.success(), "{output:?}");
    alone.start("protector-api")?;
    answers(&format!("http://127.0.0.1:{port}/")).await?;
    said.push(alone.output("protector-api"));
    for text in said {
        for wanted in told {
            let line = text.lines().find(|line| line.contains(wanted));
            let line = line.with_context(|| format!("no '{wanted}': {text}"))?;
            ensure!(line.contains("protector.conf:"), "no place: {line}");
        }
    }
    Ok(())
}
