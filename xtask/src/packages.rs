//! Debian packages that tests need.

use std::path::Path;

use anyhow::ensure;

use crate::shell;

/// What the package would start by itself is kept from starting: tests start servers of their own.
const INSTALL: &str = r#"
guard=/usr/sbin/policy-rc.d made=
[ -e $guard ] || { printf '#!/bin/sh\nexit 101\n' >$guard && chmod 755 $guard && made=yes; }
apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mariadb-server
done=$?
[ -z "$made" ] || rm -f $guard
exit $done
"#;

/// The database server that the tests of the store, and of the programs on it, start.
pub fn mariadb() -> anyhow::Result<()> {
    if Path::new("/usr/sbin/mariadbd").exists() {
        return Ok(());
    }
    ensure!(
        shell::run("mariadb", 10, &["sh", "-c", INSTALL])?.success,
        "mariadb-server is not there and can't be installed; see .run/logs/mariadb.log"
    );
    Ok(())
}
