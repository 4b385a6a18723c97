//! When a clone that is there is ours, and when it isn't.

use protector_ports::Kind;
use protector_ports::array::Mark;
use reqwest::Method;
use serde_json::{Value, json};

use super::{GROUP, Lab, mark};

const NEW: &str = "dr-op1-0";

async fn lab() -> Lab {
    let lab = Lab::protecting(&["v-1", "v-2"]).await;
    lab.fabric.write("fa-a", "v-1", "truth").unwrap();
    lab.sent("dr-1").await;
    lab
}

async fn try_clone(lab: &Lab) -> protector_ports::PortResult<protector_ports::array::ArrayVolume> {
    lab.driver
        .clone_volume(&lab.pair, GROUP, "dr-1", "v-1", NEW, &mark("v-1"))
        .await
}

async fn rename(lab: &Lab, from: &str, to: &str) {
    lab.do_as_operator(
        "fa-b",
        Method::PATCH,
        "volumes",
        &[("names", from)],
        json!({"name": to}),
    )
    .await;
}

fn live(lab: &Lab) -> usize {
    let state = lab.fabric.state("fa-b").unwrap();
    let destroyed = |volume: &&Value| volume["destroyed"] != json!(true);
    state["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(destroyed)
        .count()
}

#[tokio::test]
async fn it_is_found_by_its_mark_under_another_name() {
    let lab = lab().await;
    let first = try_clone(&lab).await.unwrap();
    rename(&lab, NEW, "volume-1234-cinder").await;
    let found = try_clone(&lab).await.unwrap();
    assert_eq!(
        (found.name.as_str(), &found.id),
        ("volume-1234-cinder", &first.id)
    );
    assert_eq!(live(&lab), 1);
    let marked = lab.driver.marked_volumes(&lab.pair.target, "op-1").await.unwrap();
    assert_eq!(marked.len(), 1);
    assert_eq!((&marked[0].0, &marked[0].1), (&found, &mark("v-1")));
}

#[tokio::test]
async fn what_lost_its_mark_on_the_way_is_adopted() {
    let lab = lab().await;
    let body = json!({"source": {"name": format!("fa-a:{GROUP}.dr-1.v-1")}});
    lab.do_as_operator("fa-b", Method::POST, "volumes", &[("names", NEW)], body)
        .await;
    let adopted = try_clone(&lab).await.unwrap();
    assert_eq!(adopted.name, NEW);
    assert_eq!(
        lab.driver
            .marked_volumes(&lab.pair.target, "op-1")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_strangers_volume_is_not_taken() {
    let lab = lab().await;
    // Of another origin.
    lab.make_volume("fa-b", NEW).await;
    assert!(try_clone(&lab).await.unwrap_err().is(Kind::Conflict));
    // Destroyed, and not known to be ours.
    lab.do_as_operator(
        "fa-b",
        Method::PATCH,
        "volumes",
        &[("names", NEW)],
        json!({"destroyed": true}),
    )
    .await;
    let error = try_clone(&lab).await.unwrap_err();
    assert!(
        error.is(Kind::Conflict) && error.message.contains("eradicated"),
        "{error}"
    );
    assert_eq!(live(&lab), 0);
    // Marked by another operation.
    let theirs = Mark {
        operation: "op-2".to_owned(),
        ..mark("v-1")
    };
    let driver = &lab.driver;
    driver
        .clone_volume(&lab.pair, GROUP, "dr-1", "v-1", "dr-other", &theirs)
        .await
        .unwrap();
    let error = driver
        .clone_volume(&lab.pair, GROUP, "dr-1", "v-1", "dr-other", &mark("v-1"))
        .await
        .unwrap_err();
    assert!(
        error.is(Kind::Conflict) && error.message.contains("op-2"),
        "{error}"
    );
    // Of the right origin, but in use.
    let body = json!({"source": {"name": format!("fa-a:{GROUP}.dr-1.v-1")}});
    lab.do_as_operator("fa-b", Method::POST, "volumes", &[("names", "dr-used")], body)
        .await;
    lab.connect("fa-b", "dr-used").await;
    let error = driver
        .clone_volume(&lab.pair, GROUP, "dr-1", "v-1", "dr-used", &mark("v-1"))
        .await
        .unwrap_err();
    assert!(error.is(Kind::Conflict), "{error}");
}

#[tokio::test]
async fn what_was_undone_comes_back_as_it_was_in_the_snapshot() {
    let lab = lab().await;
    let first = try_clone(&lab).await.unwrap();
    lab.fabric.write("fa-b", NEW, "scribble").unwrap();
    lab.driver.destroy_volume(&lab.pair.target, NEW).await.unwrap();
    let again = try_clone(&lab).await.unwrap();
    assert_eq!((&again.id, again.destroyed), (&first.id, false));
    assert_eq!(lab.markers("fa-b", NEW), ["truth"]);
}

#[tokio::test]
async fn without_a_snapshot_there_is_no_clone() {
    let lab = lab().await;
    let (driver, pair) = (&lab.driver, &lab.pair);
    let error = driver
        .clone_volume(pair, GROUP, "dr-9", "v-1", NEW, &mark("v-1"))
        .await
        .unwrap_err();
    assert!(error.is(Kind::NotFound), "{error}");
    let error = driver
        .clone_volume(pair, GROUP, "dr-1", "v-9", NEW, &mark("v-9"))
        .await
        .unwrap_err();
    assert!(error.is(Kind::NotFound), "{error}");
    assert_eq!(live(&lab), 0);
}

#[tokio::test]
async fn marks_are_found_among_many_volumes() {
    let lab = lab().await;
    for n in 0..150 {
        lab.make_volume("fa-b", &format!("other-{n}")).await;
    }
    try_clone(&lab).await.unwrap();
    let marked = lab.driver.marked_volumes(&lab.pair.target, "op-1").await.unwrap();
    assert_eq!(
        marked
            .iter()
            .map(|(volume, _)| volume.name.as_str())
            .collect::<Vec<_>>(),
        [NEW]
    );
}
