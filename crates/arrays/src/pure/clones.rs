//! Volumes made out of a replica.
//!
//! The name makes a clone unique, as an array has each name once; the mark says whose it is. Between the two
//! calls that give them an answer may get lost, so a clone without a mark is ours if it was made from the right
//! volume and nobody uses it.

use protector_flasharray as fa;
use protector_flasharray::{Kind as Fa, Volume};
use protector_ports::PortResult;
use protector_ports::array::{ArrayPair, ArrayVolume, Mark};

use super::PureDriver;
use super::volumes::{connections, described, marked, put_mark};
use crate::failure::{Explain, conflict};
use crate::names;

/// What is to be made of what.
struct Order<'a> {
    array: &'a fa::Array,
    new_name: &'a str,
    /// The member snapshot on the target.
    snapshot: String,
    /// The volume that it is of, as the target calls it.
    origin: String,
    mark: &'a Mark,
}

impl PureDriver {
    pub(super) async fn clone_member(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<ArrayVolume> {
        let target = self.handle(&pair.target)?;
        let source_name = self.source_name(pair, &target, group).await?;
        let order = Order::new(&target, &source_name, group, suffix, volume, new_name, mark)?;
        if let Some(found) = order.find().await? {
            return Ok(found);
        }
        match order.make().await? {
            Made::Anew(volume) => described(&target, volume).await,
            Made::Before(found) => Ok(found),
        }
    }

    /// Without looking for one that was made before; should there be one of this name, it is found all the same.
    pub(super) async fn make_clone(
        &self,
        pair: &ArrayPair,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &str,
        mark: &Mark,
    ) -> PortResult<()> {
        let target = self.handle(&pair.target)?;
        let source_name = self.source_name(pair, &target, group).await?;
        let order = Order::new(&target, &source_name, group, suffix, volume, new_name, mark)?;
        order.make().await.map(drop)
    }
}

enum Made {
    Anew(Volume),
    /// Someone was faster, perhaps an earlier try of ours.
    Before(ArrayVolume),
}

impl<'a> Order<'a> {
    fn new(
        array: &'a fa::Array,
        source_name: &str,
        group: &str,
        suffix: &str,
        volume: &str,
        new_name: &'a str,
        mark: &'a Mark,
    ) -> PortResult<Self> {
        names::check_group(group)?;
        names::check_volume(volume)?;
        names::check_volume(new_name)?;
        Ok(Order {
            array,
            new_name,
            snapshot: format!("{}.{suffix}.{volume}", names::on_target(source_name, group)),
            origin: names::on_target(source_name, volume),
            mark,
        })
    }

    async fn make(&self) -> PortResult<Made> {
        let (array, name) = (self.array, self.new_name);
        let what = format!("make the volume {name} of {}", self.snapshot);
        let made = match array.clone_volume(&self.snapshot, name).await {
            Ok(Some(made)) => made,
            Ok(None) => match array.volume(name).await.explain(array, &what)? {
                Some(made) => made,
                None => {
                    return Err(fa::Error::new(Fa::Ambiguous, "the volume is not there"))
                        .explain(array, what);
                }
            },
            Err(error) if matches!(error.kind, Fa::Exists | Fa::Destroyed) => {
                return match self.by_name().await? {
                    Some(found) => Ok(Made::Before(found)),
                    None => Err(error).explain(array, what),
                };
            }
            Err(error) => return Err(error).explain(array, what),
        };
        put_mark(array, name, self.mark).await?;
        Ok(Made::Anew(made))
    }

    /// The clone, if it was made already: under its own name, or by its mark under the name it has by now.
    async fn find(&self) -> PortResult<Option<ArrayVolume>> {
        match self.by_name().await? {
            Some(found) => Ok(Some(found)),
            None => self.by_mark().await,
        }
    }

    async fn by_name(&self) -> PortResult<Option<ArrayVolume>> {
        let (array, name) = (self.array, self.new_name);
        let what = format!("look for the volume {name}");
        let Some(found) = array.volume(name).await.explain(array, what)? else {
            return Ok(None);
        };
        let mark = marked(array, vec![found.clone()])
            .await?
            .pop()
            .map(|(_, mark)| mark);
        match mark {
            Some(mark) if mark == *self.mark && found.is_destroyed() => {
                self.bring_back(found).await.map(Some)
            }
            Some(mark) if mark == *self.mark => described(array, found).await.map(Some),
            Some(mark) => Err(conflict(format!(
                "The volume {name} on the array {} is there already and belongs to the operation {}.",
                array.host(),
                mark.operation
            ))),
            None if found.is_destroyed() => Err(conflict(format!(
                "The volume name {name} on the array {} is taken by a destroyed volume that is not known to be ours; it \
                 is free again when that is eradicated.",
                array.host()
            ))),
            None => self.adopt(found).await.map(Some),
        }
    }

    /// A live volume of the right name without a mark.
    async fn adopt(&self, found: Volume) -> PortResult<ArrayVolume> {
        let (array, name) = (self.array, self.new_name);
        let made_from = found.source.as_ref().and_then(|source| source.name.as_deref());
        if made_from != Some(self.origin.as_str()) || connections(array, &found).await? > 0 {
            return Err(conflict(format!(
                "The volume {name} on the array {} is there already and is not known to be ours.",
                array.host()
            )));
        }
        put_mark(array, name, self.mark).await?;
        described(array, found).await
    }

    /// What was undone is wanted again. Whatever was written to it meanwhile is replaced.
    async fn bring_back(&self, found: Volume) -> PortResult<ArrayVolume> {
        let (array, name) = (self.array, self.new_name);
        let what = format!(
            "bring the destroyed volume {name} back with the content of {}",
            self.snapshot
        );
        array
            .set_volume_destroyed(name, false)
            .await
            .explain(array, &what)?;
        array
            .overwrite_volume(&self.snapshot, name)
            .await
            .explain(array, &what)?;
        let again = array.volume(name).await.explain(array, what)?;
        described(array, again.unwrap_or(found)).await
    }

    async fn by_mark(&self) -> PortResult<Option<ArrayVolume>> {
        let array = self.array;
        let what = format!("find the clones of {}", self.origin);
        let candidates = match array.volumes_made_from(&self.origin).await {
            // Not every release takes this filter; then all of them are looked through.
            Err(error) if error.is(Fa::Invalid) => array.volumes(None).await,
            other => other,
        };
        let candidates = candidates.explain(array, what)?;
        for (volume, mark) in marked(array, candidates).await? {
            if mark == *self.mark {
                return described(array, volume).await.map(Some);
            }
        }
        Ok(None)
    }
}
