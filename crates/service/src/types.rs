//! Which volume types can be protected, and which type of the other site stands for one of this site.

use protector_domain::{ReplicationType, Site, VolumeTypeRef};
use protector_ports::cloud::VolumeType;

use crate::Service;
use crate::error::{Error, Result};

/// What Cinder lets operators write for a boolean that must hold.
fn is_true(spec: &str) -> bool {
    let bare = spec.trim().strip_prefix("<is>").unwrap_or(spec).trim();
    bare.eq_ignore_ascii_case("true")
}

/// The replication mode of a type, written bare or as `<in> async`; replicated without a mode means async.
pub(crate) fn replication_of(volume_type: &VolumeType) -> Option<ReplicationType> {
    if !is_true(volume_type.extra_specs.get("replication_enabled")?) {
        return None;
    }
    let Some(mode) = volume_type.extra_specs.get("replication_type") else {
        return Some(ReplicationType::Async);
    };
    match mode.trim().strip_prefix("<in>").unwrap_or(mode).trim() {
        "async" => Some(ReplicationType::Async),
        "sync" => Some(ReplicationType::Sync),
        _ => None,
    }
}

impl Service {
    pub(crate) async fn types_at(&self, site: &Site) -> Result<Vec<VolumeType>> {
        let access = self.directory.service(site.id).await?;
        Ok(self.cloud.volume_types(&access).await?)
    }

    /// The type that the user named, on the site where the group runs.
    pub(crate) fn named_type(
        &self,
        site: &Site,
        types: &[VolumeType],
        wanted: &str,
        mode: ReplicationType,
    ) -> Result<VolumeTypeRef> {
        let found = types
            .iter()
            .find(|candidate| candidate.id.as_str() == wanted || candidate.name == wanted)
            .ok_or_else(|| Error::NotFound {
                message: format!(
                    "No volume type with a name or ID of '{wanted}' exists at site '{}'.",
                    site.name
                ),
            })?;
        eligible(site, found, mode)
    }

    /// The type of the other site: of the same name, else the only one of the same mode.
    pub(crate) fn matching_type(
        &self,
        site: &Site,
        types: &[VolumeType],
        name: &str,
        mode: ReplicationType,
    ) -> Result<VolumeTypeRef> {
        if let Some(same) = types.iter().find(|candidate| candidate.name == name) {
            return eligible(site, same, mode);
        }
        let alike: Vec<&VolumeType> = types
            .iter()
            .filter(|candidate| replication_of(candidate) == Some(mode))
            .collect();
        match alike.as_slice() {
            [only] => Ok(reference(only)),
            [] => Err(Error::Invalid(format!(
                "volume type does not support replication: site '{}' has no volume type '{name}' and none with replication_enabled='<is> True' and replication_type='<in> {}'.",
                site.name,
                mode.as_str()
            ))),
            several => Err(Error::Invalid(format!(
                "Site '{}' has no volume type '{name}' and several that replicate ({}): give one of them the same name.",
                site.name,
                several
                    .iter()
                    .map(|candidate| candidate.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }
}

fn reference(volume_type: &VolumeType) -> VolumeTypeRef {
    VolumeTypeRef {
        id: volume_type.id.clone(),
        name: volume_type.name.clone(),
    }
}

fn eligible(site: &Site, found: &VolumeType, mode: ReplicationType) -> Result<VolumeTypeRef> {
    match replication_of(found) {
        Some(has) if has == mode => Ok(reference(found)),
        Some(has) => Err(Error::Invalid(format!(
            "volume type not eligible for replication: '{}' at site '{}' replicates {}, the group wants {}.",
            found.name,
            site.name,
            has.as_str(),
            mode.as_str()
        ))),
        None => Err(Error::Invalid(format!(
            "volume type does not support replication: '{}' at site '{}' needs the properties replication_enabled='<is> True' and \
             replication_type='<in> {}'.",
            found.name,
            site.name,
            mode.as_str()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protector_domain::VolumeTypeId;

    use super::*;

    fn of(specs: &[(&str, &str)]) -> VolumeType {
        VolumeType {
            id: VolumeTypeId::new("t").unwrap(),
            name: "t".into(),
            is_public: true,
            extra_specs: specs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn both_ways_of_writing_a_spec_are_read() {
        let on = ("replication_enabled", "<is> True");
        assert_eq!(
            replication_of(&of(&[on, ("replication_type", "<in> async")])),
            Some(ReplicationType::Async)
        );
        assert_eq!(
            replication_of(&of(&[
                ("replication_enabled", "true"),
                ("replication_type", "sync")
            ])),
            Some(ReplicationType::Sync)
        );
        assert_eq!(replication_of(&of(&[on])), Some(ReplicationType::Async));
        assert_eq!(
            replication_of(&of(&[on, ("replication_type", "<in> trisync")])),
            None
        );
        assert_eq!(
            replication_of(&of(&[("replication_enabled", "<is> False")])),
            None
        );
        assert_eq!(replication_of(&of(&[])), None);
    }
}
