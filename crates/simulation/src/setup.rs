//! Two sites as they are before anything happens: servers, disks, groups, trusts.

use std::collections::{BTreeMap, BTreeSet};

use protector_domain::*;
use protector_ports::cloud::{FixedIp, Keypair, Port, Server, Volume, VolumeGroup};
use secrecy::SecretString;
use uuid::Uuid;

use crate::hands::Hands;
use crate::sim::Sim;
use crate::world::array::{Data, Group as ArrayGroup};
use crate::world::cloud::{self as ids, Machine, id};
use crate::world::{NAMES, Time, date, site_id};

/// What stands in the description of a port that is nobody's of ours.
pub const BYSTANDER: &str = "of somebody else";
pub const INTERVAL: u64 = 300;

/// What was there at the beginning.
#[derive(Default)]
pub struct Setup {
    groups: BTreeMap<u32, GroupId>,
    running: BTreeSet<ServerId>,
    bystanders: usize,
}

impl Sim {
    pub fn setup_group(&self, disk: u32) -> Option<GroupId> {
        self.setup.groups.get(&disk).copied()
    }

    pub fn was_running(&self, server: &ServerId) -> bool {
        self.setup.running.contains(server)
    }

    pub fn bystanders_gone(&self) -> bool {
        let ports = self.world.clouds.iter().flat_map(|cloud| cloud.ports.values());
        ports.filter(|port| port.description == BYSTANDER).count() < self.setup.bystanders
    }

    fn draw<T: TryFrom<String>>(&mut self) -> T {
        id(&self.chance.uuid().to_string())
    }

    fn port(&mut self, side: usize, address: u64, server: Option<&ServerId>) -> PortId {
        let port_id: PortId = self.draw();
        let port = Port {
            id: port_id.clone(),
            name: String::new(),
            description: if server.is_some() { "" } else { BYSTANDER }.to_owned(),
            network_id: ids::network(side),
            mac_address: format!("fa:16:3e:00:{side:02x}:{address:02x}"),
            fixed_ips: vec![FixedIp {
                subnet_id: ids::subnet(side),
                ip_address: format!("10.0.0.{address}"),
            }],
            security_groups: vec![ids::security_group(side)],
            allowed_address_pairs: Vec::new(),
            port_security_enabled: true,
            vnic_type: None,
            device_id: server.map(ToString::to_string).unwrap_or_default(),
            device_owner: "compute:nova".to_owned(),
            project_id: Some(ids::tenant(side)),
            status: "ACTIVE".to_owned(),
        };
        self.world.clouds[side].ports.insert(port_id.clone(), port);
        port_id
    }

    /// A server of so many disks, at the first site.
    fn member(&mut self, group: GroupId, number: u64, disks: u64, running: bool) -> Member {
        let server_id: ServerId = self.draw();
        let name = format!("vm-{number}");
        let mut volumes = Vec::new();
        for place in 0..disks {
            let volume_id: VolumeId = self.draw();
            let array_name = ids::managed_name(&volume_id);
            let disk = u32::try_from(self.setup.groups.len()).unwrap_or(u32::MAX);
            self.setup.groups.insert(disk, group);
            let data = Data {
                disk,
                written: Time::ZERO,
            };
            self.world.arrays[0].add(&array_name, data, None);
            let row = Volume {
                id: volume_id.clone(),
                name: format!("{name}-{place}"),
                description: None,
                status: "in-use".to_owned(),
                size_gb: 1,
                volume_type: Some(ids::VOLUME_TYPE.to_owned()),
                bootable: place == 0,
                encrypted: false,
                multiattach: false,
                availability_zone: None,
                metadata: BTreeMap::new(),
                image_metadata: BTreeMap::from([("os_type".to_owned(), "linux".to_owned())]),
                group_id: None,
                attached_to: vec![server_id.clone()],
                project_id: Some(ids::tenant(0)),
                host: Some(ids::POOL.to_owned()),
                provider_id: Some(array_name.clone()),
            };
            self.world.clouds[0].volumes.insert(volume_id.clone(), row);
            volumes.push(MemberVolume {
                volume_id,
                array_name,
                device: format!("/dev/vd{}", if place == 0 { 'a' } else { 'b' }),
                boot: place == 0,
                size_gb: 1,
            });
        }
        let port = self.port(0, 10 + number, Some(&server_id));
        let server = Server {
            id: server_id.clone(),
            name: name.clone(),
            status: if running { "ACTIVE" } else { "SHUTOFF" }.to_owned(),
            task_state: None,
            project_id: ids::tenant(0),
            user_id: Some(ids::tenant_user(0).to_string()),
            description: None,
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            flavor: crate::hands::flavor(),
            boots_from_volume: true,
            key_name: number.is_multiple_of(2).then(|| "key".to_owned()),
            config_drive: false,
            availability_zone: None,
            locked: false,
            fault: None,
            user_data: None,
            root_device_name: None,
            volumes: volumes.iter().map(|volume| volume.volume_id.clone()).collect(),
            macs: Vec::new(),
        };
        let machine = Machine {
            server,
            ports: vec![port],
            volumes: volumes.iter().map(|volume| volume.volume_id.clone()).collect(),
        };
        self.world.clouds[0].servers.insert(server_id.clone(), machine);
        if running {
            self.setup.running.insert(server_id.clone());
            self.world.write(0, &server_id, true);
        }
        Member {
            id: MemberId(self.chance.uuid()),
            instance_id: server_id,
            instance_name: name,
            left: Default::default(),
            volumes,
        }
    }

    /// What every run has.
    pub fn furnish(&mut self) {
        let keypair = Keypair {
            name: "key".to_owned(),
            public_key: "ssh-ed25519 AAAA".to_owned(),
            key_type: "ssh".to_owned(),
        };
        self.world.clouds[0].keypairs.insert("key".to_owned(), keypair);
        for (side, address) in [(0, 201), (1, 201), (1, 202)] {
            self.port(side, address, None);
            self.setup.bystanders += 1;
        }
        for (at, name) in NAMES.into_iter().enumerate() {
            let site = Site {
                id: site_id(at),
                name: name.to_owned(),
                description: String::new(),
                site_type: if at == 0 {
                    SiteType::Primary
                } else {
                    SiteType::Secondary
                },
                auth_url: format!("https://{name}"),
                region_name: None,
                public_key: None,
                status: SiteStatus::Active,
                status_reason: None,
                created_at: date(Time::ZERO),
                updated_at: date(Time::ZERO),
            };
            for database in &mut self.databases {
                database.sites.insert(site.id, site.clone());
            }
        }
    }

    /// A group on both sites; `protected`: with all that makes it ready to fail over. Gives back whom to add later.
    pub fn found_group(&mut self, number: u64, protected: bool) -> (GroupId, Vec<Member>) {
        let group_id = GroupId(self.chance.uuid());
        let count = self.chance.between(1..4);
        let members: Vec<Member> = (0..count)
            .map(|of| {
                let (disks, running) = (self.chance.between(1..3), self.chance.percent(90));
                self.member(group_id, number * 10 + of, disks, running)
            })
            .collect();
        let later = match protected {
            true if count > 1 && self.chance.percent(30) => 1,
            true => 0,
            false => members.len(),
        };
        let (now, after) = members.split_at(members.len() - later);
        let (now, after) = (now.to_vec(), after.to_vec());
        let mut group = self.described(group_id, number, &now, protected);
        if protected {
            self.protect(&mut group, &now);
        }
        for database in &mut self.databases {
            for side in 0..2 {
                let key = (group_id, site_id(side));
                database
                    .trusts
                    .insert(key, SecretString::from(format!("trust-{side}")));
                database
                    .tokens
                    .insert(key, SecretString::from(format!("token-{side}")));
            }
            database.groups.insert(group_id, group.clone());
        }
        (group_id, after)
    }

    /// The members' volumes in Cinder's groups and the array's.
    fn protect(&mut self, group: &mut Group, members: &[Member]) {
        let volumes: Vec<&MemberVolume> = members.iter().flat_map(|member| &member.volumes).collect();
        for side in 0..2 {
            let group_row: VolumeGroupId = self.draw();
            let row = VolumeGroup {
                id: group_row.clone(),
                name: format!("protector-{}", group.id()),
                status: "available".to_owned(),
                volumes: match side {
                    0 => volumes.iter().map(|volume| volume.volume_id.clone()).collect(),
                    _ => Vec::new(),
                },
                project_id: Some(ids::tenant(side)),
            };
            for volume in &row.volumes {
                if let Some(volume) = self.world.clouds[side].volumes.get_mut(volume) {
                    volume.group_id = Some(group_row.clone());
                }
            }
            self.world.clouds[side].groups.insert(group_row.clone(), row);
            group
                .consistency_group
                .volume_groups
                .insert(site_id(side), group_row);
        }
        let Some(policy) = &group.document.policy else {
            return;
        };
        let name = policy.pure_pg_name.clone();
        let array = ArrayGroup {
            volumes: volumes.iter().map(|volume| volume.array_name.clone()).collect(),
            interval: std::time::Duration::from_secs(INTERVAL),
            scheduled: true,
            replicates: true,
            ours: true,
            ..ArrayGroup::default()
        };
        self.world.arrays[0].groups.insert(name.clone(), array);
        self.world.arrays[1]
            .incoming
            .entry(name.clone())
            .or_default()
            .allowed = true;
        self.world.take_snapshot(0, &name, "first", &mut self.chance);
        let when = Time::from_secs(self.chance.between(1..INTERVAL));
        self.world.at(when, crate::world::Change::Scheduled(0, name));
    }

    fn described(&mut self, group_id: GroupId, number: u64, members: &[Member], protected: bool) -> Group {
        let now = date(Time::ZERO);
        let reference = |side: usize| SiteRef {
            id: site_id(side),
            name: NAMES[side].to_owned(),
        };
        let side = |side: usize| ArraySide {
            site_id: site_id(side),
            url: Hands::array_url(side),
            token_secret: None,
        };
        let kind = |side: usize| VolumeTypeRef {
            id: ids::volume_type(side),
            name: ids::VOLUME_TYPE.to_owned(),
        };
        let mut member_states = BTreeMap::new();
        for member in members {
            let state = MemberState {
                status: MemberStatus::Protected,
                reason: None,
                since: now,
            };
            member_states.insert(member.id, state);
        }
        Group {
            document: Document {
                group_id,
                stamp: Stamp::FIRST,
                name: format!("group-{number}"),
                description: String::new(),
                replication_type: ReplicationType::Async,
                primary_site: reference(0),
                secondary_site: reference(1),
                current_primary_site_id: site_id(0),
                projects: BTreeMap::from([(site_id(0), ids::tenant(0)), (site_id(1), ids::tenant(1))]),
                volume_types: BTreeMap::from([(site_id(0), kind(0)), (site_id(1), kind(1))]),
                members: members.to_vec(),
                mappings: Mappings::default(),
                policy: Some(Policy {
                    id: PolicyId(Uuid::from_u128(u128::from(number) + 1)),
                    primary: side(0),
                    secondary: side(1),
                    pure_pg_name: format!("pg-{number}"),
                    replication_interval_seconds: Some(INTERVAL),
                    rpo_minutes: None,
                }),
                intents: Vec::new(),
                failover_count: 0,
                modified_at: now,
            },
            status: if protected {
                GroupStatus::Active
            } else {
                GroupStatus::Creating
            },
            status_reason: None,
            member_states,
            consistency_group: ConsistencyGroup {
                id: ConsistencyGroupId(Uuid::from_u128(u128::from(number) + 100)),
                status: match protected {
                    true => ConsistencyGroupStatus::Active,
                    false => ConsistencyGroupStatus::Creating,
                },
                backend_name: None,
                volume_groups: BTreeMap::new(),
            },
            policy_status: Some(match protected {
                true => PolicyStatus::Active,
                false => PolicyStatus::Applying,
            }),
            policy_reason: None,
            array_group_made: protected,
            sync: SyncState {
                status: SyncStatus::Synced,
                peer: Some(Stamp::FIRST),
                last_sync_at: Some(now),
            },
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }
}
