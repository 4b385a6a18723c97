//! The suites of the test command: what there is, what each one needs, how it is run.

use std::fs;

use anyhow::ensure;
use serde_json::Value;

use crate::results::Tally;
use crate::{check, junit, packages, shell};

/// Where development keeps its Python packages.
const VENV: &str = ".run/venv";
const CLIENT: &str = "clients/python-protectorclient";
const PACKAGES: &[&str] = &[
    "python-openstackclient",
    "python-cinderclient",
    "requests-mock",
    "pytest",
    "pytest-xdist",
    "py-pure-client",
];

pub struct Suite {
    pub name: &'static str,
    /// One of these has to be in the repository, or the suite isn't part of it yet.
    pub exists: &'static [&'static str],
    /// Whether it needs the real control planes.
    pub real: bool,
    /// Whether it runs the release programs, so that its tests can prove promises.
    pub release: bool,
    pub run: fn() -> anyhow::Result<Tally>,
}

/// In the order in which they run. `build` stands behind the tests of the workspace because these build the
/// programs too, with the features that tests ask for.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "install",
        exists: &["Cargo.toml"],
        real: false,
        release: false,
        run: install,
    },
    Suite {
        name: "check",
        exists: &["Cargo.toml"],
        real: false,
        release: false,
        run: check::all,
    },
    Suite {
        name: "workspace",
        exists: &["crates"],
        real: false,
        release: false,
        run: workspace,
    },
    Suite {
        name: "doc",
        exists: &["crates"],
        real: false,
        release: false,
        run: doc,
    },
    Suite {
        name: "build",
        exists: &["crates"],
        real: false,
        release: false,
        run: build,
    },
    Suite {
        name: "client",
        exists: &["clients/python-protectorclient/tests/unit"],
        real: false,
        release: false,
        run: || python_tests("client", 10, "tests/unit"),
    },
    Suite {
        name: "commands",
        exists: &["clients/python-protectorclient/tests/functional"],
        real: false,
        release: true,
        run: || python_tests("commands", 20, "tests/functional"),
    },
    Suite {
        name: "black-box",
        exists: &["tests/it"],
        real: false,
        release: true,
        run: black_box,
    },
    Suite {
        name: "crash-matrix",
        exists: &["tests/matrix"],
        real: false,
        release: true,
        run: || {
            command(
                "crash-matrix",
                10,
                &[&program("crash-matrix")?, "--tenth", "--lanes", "3"],
            )
        },
    },
    Suite {
        name: "histories",
        exists: &["tests/histories"],
        real: false,
        release: true,
        run: || command("histories", 5, &[&program("histories")?, "--runs", "50"]),
    },
    Suite {
        name: "demo",
        exists: &["crates/dev/src/demo.rs", "crates/dev/src/demo"],
        real: false,
        release: true,
        run: || command("demo", 10, &[&program("protector-dev")?, "demo", "--no-build"]),
    },
    Suite {
        name: "simulation",
        exists: &["crates/simulation"],
        real: false,
        release: false,
        run: || xtask("simulation", 40, &["simulate", "--seeds", "10000"]),
    },
    Suite {
        name: "model",
        exists: &["crates/model"],
        real: false,
        release: false,
        run: || xtask("model", 10, &["model"]),
    },
    Suite {
        name: "simulator-openstack",
        exists: &["crates/sim/checks/openstack_client.py"],
        real: false,
        release: false,
        run: || simulator("simulator-openstack", "openstack_client.py", "sites"),
    },
    Suite {
        name: "simulator-array",
        exists: &["crates/sim/checks/pure_client.py"],
        real: false,
        release: false,
        run: || simulator("simulator-array", "pure_client.py", "arrays"),
    },
    Suite {
        name: "lab",
        exists: &["xtask/src/lab.rs", "xtask/src/lab"],
        real: true,
        release: true,
        run: lab,
    },
    Suite {
        name: "equality",
        exists: &["lab/equality.py", "lab/equality"],
        real: true,
        release: true,
        run: || xtask("equality", 15, &["lab", "equality"]),
    },
    Suite {
        name: "lab-down",
        exists: &["xtask/src/lab.rs", "xtask/src/lab"],
        real: true,
        release: false,
        run: || xtask("lab-down", 5, &["lab", "down"]),
    },
];

fn install() -> anyhow::Result<Tally> {
    let python = format!("{VENV}/bin/python");
    if !shell::available(&[
        &shell::root().join(&python).to_string_lossy(),
        "-m",
        "pip",
        "--version",
    ]) {
        ensure!(
            shell::run("venv", 5, &["python3", "-m", "venv", "--clear", VENV])?.success,
            "no virtual environment"
        );
    }
    let editable = format!("{CLIENT}[test]");
    let mut pip = vec![
        &*python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    pip.extend(PACKAGES);
    if shell::root().join(CLIENT).exists() {
        pip.extend(["--editable", &*editable]);
    }
    Ok(Tally::single(
        "python packages",
        shell::run("pip", 10, &pip)?.success,
    ))
}

fn workspace() -> anyhow::Result<Tally> {
    packages::mariadb()?;
    rust_tests("workspace", 45, &["--workspace", "--exclude", "protector-tests"])
}

fn black_box() -> anyhow::Result<Tally> {
    packages::mariadb()?;
    rust_tests("black-box", 20, &["--package", "protector-tests"])
}

/// By nextest where it is installed, by `cargo test` where not.
fn rust_tests(name: &str, minutes: u32, what: &[&str]) -> anyhow::Result<Tally> {
    if !shell::available(&["cargo", "nextest", "--version"]) {
        let mut command = vec![
            "cargo",
            "test",
            "--release",
            "--locked",
            "--no-fail-fast",
            "--all-targets",
        ];
        command.extend(what);
        let output = shell::run(name, minutes, &command)?;
        return Ok(junit::cargo_test(&output.lines)?.settle(name, output.success));
    }
    // nextest keeps its reports in the repository, wherever cargo builds.
    let report = shell::root().join("target/nextest/default/junit.xml");
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let mut command = vec![
        "cargo",
        "nextest",
        "run",
        "--release",
        "--locked",
        "--status-level",
        "fail",
    ];
    command.extend(what);
    let output = shell::run(name, minutes, &command)?;
    let mut tally = if report.exists() {
        junit::parse(&fs::read_to_string(&report)?)?
    } else {
        Tally::default()
    };
    tally.skipped += junit::skipped_by_nextest(&output.lines)?;
    Ok(tally.settle(name, output.success))
}

fn doc() -> anyhow::Result<Tally> {
    let output = shell::run(
        "doc",
        15,
        &["cargo", "test", "--release", "--locked", "--workspace", "--doc"],
    )?;
    Ok(junit::cargo_test(&output.lines)?.settle("doc", output.success))
}

fn build() -> anyhow::Result<Tally> {
    let output = shell::run(
        "build",
        30,
        &["cargo", "build", "--release", "--locked", "--workspace", "--bins"],
    )?;
    Ok(Tally::single("release programs", output.success))
}

/// Tests of the command line client, by pytest.
fn python_tests(name: &str, minutes: u32, folder: &str) -> anyhow::Result<Tally> {
    let report = shell::root().join(format!(".run/logs/{name}.xml"));
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let python = shell::root().join(VENV).join("bin/python");
    let xml = format!("--junitxml={}", report.display());
    let place = format!("--rootdir={CLIENT}");
    let tests = format!("{CLIENT}/{folder}");
    let line = [
        &*python.to_string_lossy(),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        // Most of a command's time goes into starting Python.
        "--numprocesses=2",
        "--dist=worksteal",
        &place,
        &xml,
        &tests,
    ];
    let output = shell::run(name, minutes, &line)?;
    let tally = if report.exists() {
        junit::parse(&fs::read_to_string(&report)?)?
    } else {
        Tally::default()
    };
    Ok(tally.settle(name, output.success))
}

fn lab() -> anyhow::Result<Tally> {
    let mut tally = xtask("lab-up", 20, &["lab", "up"])?;
    if tally.failed == 0 {
        tally.merge(xtask("lab-test", 20, &["lab", "test"])?);
    }
    Ok(tally)
}

fn xtask(log: &str, minutes: u32, arguments: &[&str]) -> anyhow::Result<Tally> {
    let this = std::env::current_exe()?.to_string_lossy().into_owned();
    let mut line = vec![&*this];
    line.extend(arguments);
    command(log, minutes, &line)
}

/// A public client against a simulated site: neither knows the other, so neither hides the other's mistakes.
fn simulator(log: &str, check: &str, example: &str) -> anyhow::Result<Tally> {
    let build = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--workspace",
        "--example",
        example,
    ];
    ensure!(
        shell::run(&format!("{log}-build"), 15, &build)?.success,
        "the example {example} can't be built"
    );
    let venv = shell::root().join(VENV).join("bin");
    let (python, openstack) = (venv.join("python"), venv.join("openstack"));
    let check = format!("crates/sim/checks/{check}");
    let example = program(&format!("examples/{example}"))?;
    command(
        log,
        10,
        &[
            &python.to_string_lossy(),
            &check,
            &example,
            &openstack.to_string_lossy(),
        ],
    )
}

/// A program that says itself what it tested; one that says nothing is one test.
fn command(log: &str, minutes: u32, line: &[&str]) -> anyhow::Result<Tally> {
    let output = shell::run(log, minutes, line)?;
    let tally = Tally::from_lines(&output.lines).unwrap_or_else(|| Tally::single(log, output.success));
    Ok(tally.settle(log, output.success))
}

/// Builds what black-box checks start: the product's programs, the simulation's, and the checks themselves.
pub fn build_programs() -> anyhow::Result<()> {
    let packages = ["protector-bins", "protector-dev", "protector-tests"];
    let mut build = vec!["cargo", "build", "--release", "--locked", "--bins"];
    build.extend(packages.iter().flat_map(|package| ["--package", *package]));
    anyhow::ensure!(
        shell::run("build", 30, &build)?.success,
        "the programs can't be built; see .run/logs/build.log"
    );
    Ok(())
}

/// Where a release program or example is built.
pub fn program(name: &str) -> anyhow::Result<String> {
    Ok(target()?
        .join("release")
        .join(name)
        .to_string_lossy()
        .into_owned())
}

fn target() -> anyhow::Result<std::path::PathBuf> {
    let metadata = shell::capture(&["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    Ok(metadata["target_directory"].as_str().unwrap_or("target").into())
}
