//! Compares what is there after a failover with what was there before it, and shows both.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use protector_relay::{Member, Operation};

use super::look::{Disk, Server};
use super::progress::active_after;
use super::workload::NETWORKS;
use crate::screen::Screen;

/// One member, before and after.
pub(crate) struct Row {
    /// With the data that must be there afterwards.
    pub(crate) before: Server,
    pub(crate) old: Old,
    /// The server of that name on the new cloud.
    pub(crate) new: Option<Server>,
    /// From the order to the new server's being `ACTIVE`.
    pub(crate) seconds: Option<f64>,
}

/// What became of a member's server on the old cloud.
pub(crate) enum Old {
    /// The cloud is there, and so should be the server, stopped.
    Left(Option<Server>),
    /// The whole site is lost. The data is `age` seconds old, and what was written later ends in `late`.
    Lost { age: f64, late: &'static str },
}

/// What a failover has brought up.
pub(crate) struct Recovery<'a> {
    pub(crate) servers: &'a [Server],
    pub(crate) members: &'a [Member],
    pub(crate) operation: &'a Operation,
}

impl Recovery<'_> {
    /// The row of the member that was this server.
    pub(crate) fn row(&self, before: Server, old: Old) -> Row {
        let mut members = self.members.iter();
        let member = members.find(|member| member.instance_name == before.name);
        let mut servers = self.servers.iter();
        Row {
            old,
            new: servers.find(|server| server.name == before.name).cloned(),
            seconds: member.and_then(|member| active_after(self.operation, &member.id)),
            before,
        }
    }
}

/// Show the closing table. Anything that isn't as it must be is an error.
pub(crate) fn close(screen: &mut Screen, rows: &[Row]) -> Result<()> {
    screen.line(&table(rows));
    let complaints = complaints(rows);
    if !complaints.is_empty() {
        bail!("not everything is as it must be:\n  {}", complaints.join("\n  "));
    }
    Ok(())
}

/// Everything that isn't as it must be, in sentences.
fn complaints(rows: &[Row]) -> Vec<String> {
    rows.iter().flat_map(complaints_of).collect()
}

fn complaints_of(row: &Row) -> Vec<String> {
    let name = &row.before.name;
    let mut found = Vec::new();
    match &row.old {
        Old::Left(Some(old)) if old.status == "SHUTOFF" => {}
        Old::Left(Some(old)) => found.push(format!("{name}: the old server is {}, not SHUTOFF", old.status)),
        Old::Left(None) => found.push(format!("{name}: the old server is gone")),
        Old::Lost { .. } => {}
    }
    let Some(new) = &row.new else {
        found.push(format!("{name}: there is no server of that name at site-b"));
        return found;
    };
    if new.status != "ACTIVE" {
        found.push(format!("{name}: the new server is {}, not ACTIVE", new.status));
    }
    let wanted = mapped(&row.before.addresses);
    if new.addresses != wanted {
        found.push(format!(
            "{name}: it has the addresses {:?} instead of {wanted:?}",
            new.addresses
        ));
    }
    if new.disks.len() != row.before.disks.len() {
        found.push(format!(
            "{name}: it has {} disks instead of {}",
            new.disks.len(),
            row.before.disks.len()
        ));
    }
    for (was, is) in row.before.disks.iter().zip(&new.disks) {
        found.extend(wrong_data(row, was, is).map(|what| format!("{name}: {what}")));
        if (&was.device, was.gigabytes) != (&is.device, is.gigabytes) {
            found.push(format!(
                "{name}: the disk {} of {} GiB is {} of {} GiB now",
                was.device, was.gigabytes, is.device, is.gigabytes
            ));
        }
    }
    found
}

fn wrong_data(row: &Row, was: &Disk, is: &Disk) -> Option<String> {
    if let Old::Lost { late, .. } = row.old
        && let Some(marker) = is.markers.iter().find(|marker| marker.ends_with(late))
    {
        return Some(format!(
            "{} holds '{marker}', which was written after the last replication",
            is.device
        ));
    }
    (was.markers != is.markers).then(|| {
        format!(
            "{} holds {:?} instead of {:?}",
            is.device, is.markers, was.markers
        )
    })
}

/// The addresses under the networks' other names.
fn mapped(addresses: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let other = |name: &str| {
        let network = NETWORKS.iter().find(|network| network.at_a == name);
        network.map_or(name, |network| network.at_b).to_owned()
    };
    addresses
        .iter()
        .map(|(name, listed)| (other(name), listed.clone()))
        .collect()
}

/// The closing table. Of a lost site it has no old servers, and how old the data is instead.
fn table(rows: &[Row]) -> String {
    let lost = rows.iter().any(|row| matches!(row.old, Old::Lost { .. }));
    let mut header = vec!["member"];
    if !lost {
        header.push("old server at site-a");
    }
    header.extend([
        "new server at site-b",
        "addresses",
        "volumes",
        "data read from them",
    ]);
    if lost {
        header.push("data age");
    }
    header.push("time");
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        table.add_row(cells(row));
    }
    table.to_string()
}

fn cells(row: &Row) -> Vec<String> {
    let server = |server: &Option<Server>| match server {
        Some(server) => format!("{}\n{}", server.status, short(&server.id)),
        None => "none".to_owned(),
    };
    let lines =
        |write: &dyn Fn(&Server) -> Vec<String>| row.new.as_ref().map(write).unwrap_or_default().join("\n");
    let same = |disk: usize, markers: &[String]| {
        let before = row.before.disks.get(disk);
        before.is_some_and(|before| before.markers == markers)
    };
    let mut cells = vec![row.before.name.clone()];
    if let Old::Left(old) = &row.old {
        cells.push(server(old));
    }
    cells.push(server(&row.new));
    cells.push(lines(&|server| {
        let networks = server.addresses.iter();
        networks
            .map(|(network, listed)| format!("{network} {}", listed.join(", ")))
            .collect()
    }));
    cells.push(lines(&|server| {
        let disks = server.disks.iter();
        disks
            .map(|disk| format!("{} {} GiB {}", disk.device, disk.gigabytes, short(&disk.volume)))
            .collect()
    }));
    cells.push(lines(&|server| {
        let disks = server.disks.iter().enumerate();
        disks
            .map(|(number, disk)| {
                let last = disk.markers.last().map_or("nothing", String::as_str);
                let sign = if same(number, &disk.markers) { "✓" } else { "✗" };
                format!("{sign} {last}")
            })
            .collect()
    }));
    if let Old::Lost { age, .. } = row.old {
        cells.push(format!("{age:.1} s"));
    }
    let seconds = row.seconds.map(|seconds| format!("{seconds:.1} s"));
    cells.push(seconds.unwrap_or_default());
    cells
}

/// Enough of an id to tell it from the others.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status: &str, network: &str, marker: &str) -> Server {
        Server {
            id: "id".into(),
            name: "web-0".into(),
            status: status.into(),
            addresses: BTreeMap::from([(network.to_owned(), vec!["192.168.10.5".to_owned()])]),
            disks: vec![Disk {
                device: "/dev/vda".into(),
                volume: "v".into(),
                gigabytes: 1,
                markers: vec![marker.to_owned()],
            }],
        }
    }

    fn row() -> Row {
        Row {
            before: server("ACTIVE", "front", "m"),
            old: Old::Left(Some(server("SHUTOFF", "front", "m"))),
            new: Some(server("ACTIVE", "front-dr", "m")),
            seconds: Some(1.0),
        }
    }

    #[test]
    fn what_is_as_it_must_be_finds_no_complaint() {
        assert_eq!(complaints(&[row()]), Vec::<String>::new());
        assert!(table(&[row()]).contains("✓ m"));
    }

    #[test]
    fn wrong_data_is_a_complaint_and_shows_in_the_table() {
        let mut wrong = row();
        wrong.new = Some(server("ACTIVE", "front-dr", "other"));
        assert!(complaints(&[wrong]).concat().contains("/dev/vda holds"));
        let mut wrong = row();
        wrong.new = Some(server("ACTIVE", "front-dr", "other"));
        assert!(table(&[wrong]).contains("✗ other"));
    }

    #[test]
    fn a_running_old_server_a_missing_new_one_and_a_lost_address_are_complaints() {
        let mut wrong = row();
        wrong.old = Old::Left(Some(server("ACTIVE", "front", "m")));
        assert!(complaints(&[wrong])[0].contains("not SHUTOFF"));
        let mut wrong = row();
        wrong.new = None;
        assert!(complaints(&[wrong])[0].contains("no server of that name"));
        let mut wrong = row();
        wrong.new = Some(server("ACTIVE", "back-dr", "m"));
        assert!(complaints(&[wrong])[0].contains("addresses"));
    }

    #[test]
    fn of_a_lost_site_the_datas_age_is_shown_and_a_late_write_is_a_complaint() {
        let lost = |marker: &str| Row {
            old: Old::Lost {
                age: 64.5,
                late: "too late",
            },
            new: Some(server("ACTIVE", "front-dr", marker)),
            ..row()
        };
        assert_eq!(complaints(&[lost("m")]), Vec::<String>::new());
        let shown = table(&[lost("m")]);
        assert!(
            shown.contains("64.5 s") && !shown.contains("old server"),
            "{shown}"
        );
        assert!(
            complaints(&[lost("web-0 vda too late")])
                .concat()
                .contains("after the last replication")
        );
        assert!(complaints(&[lost("other")]).concat().contains("/dev/vda holds"));
    }
}
