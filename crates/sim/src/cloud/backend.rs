//! Where the volumes of a simulated cloud live.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::array::{ApiError, Fabric};

/// What a volume driver of Cinder does with its storage. Errors are what the driver would log.
pub trait VolumeBackend: Send {
    /// A new, empty volume.
    fn create(&self, name: &str, gigabytes: u64) -> Result<(), String>;
    /// A copy of a volume as it is now.
    fn clone_volume(&self, source: &str, name: &str) -> Result<(), String>;
    /// Size in bytes and number of connections, if the volume exists.
    fn look(&self, name: &str) -> Result<Option<(u64, u64)>, String>;
    /// Another name.
    fn rename(&self, from: &str, to: &str) -> Result<(), String>;
    /// A new size.
    fn extend(&self, name: &str, gigabytes: u64) -> Result<(), String>;
    /// Destroy a volume; it can be recovered for a while.
    fn destroy(&self, name: &str) -> Result<(), String>;
    /// Let a hypervisor see a volume, or no longer.
    fn connect(&self, host: &str, volume: &str, connected: bool) -> Result<(), String>;
    /// Make sure that a protection group exists; `replicated` ones send to the peer.
    fn ensure_group(&self, group: &str, replicated: bool) -> Result<(), String>;
    /// Take a volume into a protection group, or out of it.
    fn set_member(&self, group: &str, volume: &str, member: bool) -> Result<(), String>;
    /// Destroy a protection group.
    fn destroy_group(&self, group: &str) -> Result<(), String>;
    /// A snapshot of a volume.
    fn snapshot(&self, volume: &str, suffix: &str) -> Result<(), String>;
    /// Destroy a snapshot.
    fn destroy_snapshot(&self, name: &str) -> Result<(), String>;
    /// Go on with what had to wait for the storage. Tells whether nothing waits any more.
    fn settle(&self) -> bool {
        true
    }
    /// The array that holds the volumes.
    fn array(&self) -> &str;
}

/// One array of a fabric, and the one it replicates to.
#[derive(Clone, Debug)]
pub struct FabricBackend {
    fabric: Fabric,
    array: String,
    peer: Option<String>,
    /// Groups that the peer hasn't been seen to know yet; they are allowed to replicate as soon as it does.
    announced: Arc<Mutex<BTreeSet<String>>>,
}

impl FabricBackend {
    /// Volumes on `array`; those of a replicated type are sent to `peer`.
    #[must_use]
    pub fn new(fabric: Fabric, array: &str, peer: Option<&str>) -> Self {
        Self {
            fabric,
            array: array.to_owned(),
            peer: peer.map(str::to_owned),
            announced: Arc::default(),
        }
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, ApiError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        self.fabric.call(&self.array, method, path, &query, body)
    }

    fn act(&self, method: &str, path: &str, query: &[(&str, &str)], body: &Value) -> Result<(), String> {
        self.call(method, path, query, body)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// As the driver does: what is already so is no error.
    fn make_so(&self, method: &str, path: &str, query: &[(&str, &str)], body: &Value) -> Result<(), String> {
        match self.call(method, path, query, body) {
            Err(error) if !error.errors.iter().any(|(_, text)| is_already_so(text)) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this array replicates arrives at the peer under a name with its own in front.
    fn allow_on_peer(&self, peer: &str, group: &str) -> Result<(), ApiError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("group_names", &format!("{}:{group}", self.array))
            .append_pair("member_names", peer)
            .finish();
        let body = json!({"allowed": true});
        let path = "protection-groups/targets";
        match self.fabric.call(peer, "PATCH", path, &query, &body) {
            Err(error) if !error.errors.iter().any(|(_, text)| text.contains("already")) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_already_so(text: &str) -> bool {
    ["already", "does not exist", "not a member", "has been destroyed"]
        .iter()
        .any(|part| text.contains(part))
}

impl VolumeBackend for FabricBackend {
    fn create(&self, name: &str, gigabytes: u64) -> Result<(), String> {
        self.act(
            "POST",
            "volumes",
            &[("names", name)],
            &json!({"provisioned": gigabytes << 30}),
        )
    }

    fn clone_volume(&self, source: &str, name: &str) -> Result<(), String> {
        self.act(
            "POST",
            "volumes",
            &[("names", name)],
            &json!({"source": {"name": source}}),
        )
    }

    fn look(&self, name: &str) -> Result<Option<(u64, u64)>, String> {
        match self.call("GET", "volumes", &[("names", name)], &Value::Null) {
            Ok(answer) => Ok(answer["items"]
                .get(0)
                .filter(|item| item["destroyed"] != true)
                .map(|item| {
                    (
                        item["provisioned"].as_u64().unwrap_or_default(),
                        item["connection_count"].as_u64().unwrap_or_default(),
                    )
                })),
            Err(error)
                if error
                    .errors
                    .iter()
                    .any(|(_, text)| text.contains("does not exist")) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), String> {
        self.act("PATCH", "volumes", &[("names", from)], &json!({"name": to}))
    }

    fn extend(&self, name: &str, gigabytes: u64) -> Result<(), String> {
        self.act(
            "PATCH",
            "volumes",
            &[("names", name)],
            &json!({"provisioned": gigabytes << 30}),
        )
    }

    fn destroy(&self, name: &str) -> Result<(), String> {
        self.make_so(
            "PATCH",
            "volumes",
            &[("names", name)],
            &json!({"destroyed": true}),
        )
    }

    fn connect(&self, host: &str, volume: &str, connected: bool) -> Result<(), String> {
        let query = [("host_names", host), ("volume_names", volume)];
        if !connected {
            return self.make_so("DELETE", "connections", &query, &Value::Null);
        }
        let iqn = format!("iqn.2010-10.org.openstack:{host}");
        self.make_so("POST", "hosts", &[("names", host)], &json!({"iqns": [iqn]}))?;
        self.make_so("POST", "connections", &query, &json!({}))
    }

    fn ensure_group(&self, group: &str, replicated: bool) -> Result<(), String> {
        match self.call("POST", "protection-groups", &[("names", group)], &json!({})) {
            Ok(_) => {}
            // What an admin has changed since stays as it is.
            Err(error)
                if error
                    .errors
                    .iter()
                    .any(|(_, text)| text.contains("already exists")) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        }
        if let (true, Some(peer)) = (replicated, &self.peer) {
            let query = [("group_names", group), ("member_names", peer.as_str())];
            self.make_so("POST", "protection-groups/targets", &query, &json!({}))?;
            self.waiting().insert(group.to_owned());
            self.settle();
            // An hour, which is the driver's default.
            let schedule = json!({"replication_schedule": {"enabled": true, "frequency": 3_600_000}});
            self.make_so("PATCH", "protection-groups", &[("names", group)], &schedule)?;
        }
        Ok(())
    }

    fn set_member(&self, group: &str, volume: &str, member: bool) -> Result<(), String> {
        let method = if member { "POST" } else { "DELETE" };
        let query = [("group_names", group), ("member_names", volume)];
        self.make_so(method, "protection-groups/volumes", &query, &json!({}))
    }

    fn destroy_group(&self, group: &str) -> Result<(), String> {
        self.make_so(
            "PATCH",
            "protection-groups",
            &[("names", group)],
            &json!({"destroyed": true}),
        )
    }

    fn snapshot(&self, volume: &str, suffix: &str) -> Result<(), String> {
        self.act(
            "POST",
            "volume-snapshots",
            &[("source_names", volume)],
            &json!({"suffix": suffix}),
        )
    }

    fn destroy_snapshot(&self, name: &str) -> Result<(), String> {
        self.make_so(
            "PATCH",
            "volume-snapshots",
            &[("names", name)],
            &json!({"destroyed": true}),
        )
    }

    fn settle(&self) -> bool {
        let mut waiting = self.waiting();
        if let Some(peer) = &self.peer {
            waiting.retain(|group| self.allow_on_peer(peer, group).is_err());
        }
        waiting.is_empty()
    }

    fn array(&self) -> &str {
        &self.array
    }
}
