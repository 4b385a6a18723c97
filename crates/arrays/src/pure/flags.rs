//! Flags: empty protection groups whose name is all that they say, to whoever looks at the array.

use protector_flasharray::{GroupPatch, Kind as Fa};
use protector_ports::PortResult;
use protector_ports::array::ArrayAccess;

use super::PureDriver;
use crate::failure::Explain;
use crate::names;

fn destroyed(destroyed: bool) -> GroupPatch {
    GroupPatch {
        destroyed: Some(destroyed),
        ..GroupPatch::default()
    }
}

impl PureDriver {
    pub(super) async fn put_flag_up(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        names::check_group(name)?;
        let array = self.handle(array)?;
        let what = format!("make the protection group {name}");
        let made = match array.create_group(name).await {
            Err(error) if error.kind == Fa::Exists => Ok(()),
            // It was up before, and isn't eradicated yet.
            Err(error) if error.kind == Fa::Destroyed => array.patch_group(name, &destroyed(false)).await,
            made => made,
        };
        made.explain(&array, what)
    }

    pub(super) async fn see_flag(&self, array: &ArrayAccess, name: &str) -> PortResult<bool> {
        names::check_group(name)?;
        let array = self.handle(array)?;
        let group = array.group(name).await;
        let group = group.explain(&array, format!("look for the protection group {name}"))?;
        Ok(group.is_some_and(|group| !group.is_destroyed()))
    }

    pub(super) async fn take_flag_down(&self, array: &ArrayAccess, name: &str) -> PortResult<()> {
        names::check_group(name)?;
        let array = self.handle(array)?;
        match array.patch_group(name, &destroyed(true)).await {
            Err(error) if matches!(error.kind, Fa::NotFound | Fa::Destroyed) => Ok(()),
            other => other.explain(&array, format!("destroy the protection group {name}")),
        }
    }
}
