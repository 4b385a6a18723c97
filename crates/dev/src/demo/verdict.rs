//! Compares what is there after a failover with what was there before it, and shows both.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};

use super::look::Server;
use super::workload::NETWORKS;

/// One member, before and after.
pub(crate) struct Row {
    pub(crate) before: Server,
    /// The same server on the old cloud, after.
    pub(crate) old: Option<Server>,
    /// The server of that name on the new cloud.
    pub(crate) new: Option<Server>,
    /// From the order to the new server's being `ACTIVE`.
    pub(crate) seconds: Option<f64>,
}

/// Everything that isn't as it must be, in sentences.
pub(crate) fn complaints(rows: &[Row]) -> Vec<String> {
    rows.iter().flat_map(complaints_of).collect()
}

fn complaints_of(row: &Row) -> Vec<String> {
    let name = &row.before.name;
    let mut found = Vec::new();
    match &row.old {
        Some(old) if old.status == "SHUTOFF" => {}
        Some(old) => found.push(format!("{name}: the old server is {}, not SHUTOFF", old.status)),
        None => found.push(format!("{name}: the old server is gone")),
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
        if was.markers != is.markers {
            found.push(format!(
                "{name}: {} holds {:?} instead of {:?}",
                is.device, is.markers, was.markers
            ));
        }
        if (&was.device, was.gigabytes) != (&is.device, is.gigabytes) {
            found.push(format!(
                "{name}: the disk {} of {} GiB is {} of {} GiB now",
                was.device, was.gigabytes, is.device, is.gigabytes
            ));
        }
    }
    found
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

/// The closing table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "member",
        "old server at site-a",
        "new server at site-b",
        "addresses",
        "volumes",
        "data read from them",
        "time",
    ]);
    for row in rows {
        let server = |server: &Option<Server>| match server {
            Some(server) => format!("{}\n{}", server.status, short(&server.id)),
            None => "none".to_owned(),
        };
        let new = row.new.as_ref();
        let lines = |write: &dyn Fn(&Server) -> Vec<String>| new.map(write).unwrap_or_default().join("\n");
        let same = |disk: usize, markers: &[String]| {
            row.before
                .disks
                .get(disk)
                .is_some_and(|before| before.markers == markers)
        };
        table.add_row([
            row.before.name.clone(),
            server(&row.old),
            server(&row.new),
            lines(&|server| {
                let networks = server.addresses.iter();
                networks
                    .map(|(network, listed)| format!("{network} {}", listed.join(", ")))
                    .collect()
            }),
            lines(&|server| {
                let disks = server.disks.iter();
                disks
                    .map(|disk| format!("{} {} GiB {}", disk.device, disk.gigabytes, short(&disk.volume)))
                    .collect()
            }),
            lines(&|server| {
                let disks = server.disks.iter().enumerate();
                disks
                    .map(|(number, disk)| {
                        let last = disk.markers.last().map_or("nothing", String::as_str);
                        let sign = if same(number, &disk.markers) { "✓" } else { "✗" };
                        format!("{sign} {last}")
                    })
                    .collect()
            }),
            row.seconds
                .map_or_else(String::new, |seconds| format!("{seconds:.1} s")),
        ]);
    }
    table.to_string()
}

/// Enough of an id to tell it from the others.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::super::look::Disk;
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
            old: Some(server("SHUTOFF", "front", "m")),
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
        wrong.old = Some(server("ACTIVE", "front", "m"));
        assert!(complaints(&[wrong])[0].contains("not SHUTOFF"));
        let mut wrong = row();
        wrong.new = None;
        assert!(complaints(&[wrong])[0].contains("no server of that name"));
        let mut wrong = row();
        wrong.new = Some(server("ACTIVE", "back-dr", "m"));
        assert!(complaints(&[wrong])[0].contains("addresses"));
    }
}
