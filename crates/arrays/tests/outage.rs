//! The target alone, while the source is out of reach.

use protector_ports::{Class, Kind};

use super::{GROUP, Lab, mark};

async fn survivor() -> Lab {
    let lab = Lab::protecting(&["v-1"]).await;
    lab.fabric.write("fa-a", "v-1", "truth").unwrap();
    lab.sent("dr-1").await;
    lab.fabric.set_power("fa-a", false).unwrap();
    lab
}

#[tokio::test]
async fn an_unplanned_failover_needs_the_target_only() {
    for restarted in [false, true] {
        let mut lab = survivor().await;
        if restarted {
            lab.restarted();
        }
        let (driver, pair) = (&lab.driver, &lab.pair);
        for _ in 0..2 {
            driver
                .set_allowed(&pair.target, "fa-a", GROUP, false)
                .await
                .unwrap();
        }
        let view = driver.group(pair, GROUP).await.unwrap().unwrap();
        assert_eq!((view.volumes, view.allowed), (vec!["v-1".to_owned()], false));
        let newest = driver.replicas(&pair.target, "fa-a", GROUP).await.unwrap();
        let newest = newest.iter().find(|replica| replica.suffix == "dr-1").unwrap();
        assert!(newest.is_complete() && newest.volumes == ["v-1"]);
        assert!(
            driver
                .replica(pair, GROUP, "dr-1")
                .await
                .unwrap()
                .unwrap()
                .is_complete()
        );
        for _ in 0..2 {
            driver
                .clone_volume(pair, GROUP, "dr-1", "v-1", "dr-op1-0", &mark("v-1"))
                .await
                .unwrap();
        }
        assert_eq!(lab.markers("fa-b", "dr-op1-0"), ["truth"]);
    }
}

#[tokio::test]
async fn what_only_the_source_can_do_may_work_later() {
    let lab = survivor().await;
    let (driver, pair) = (&lab.driver, &lab.pair);
    for error in [
        driver.identity(&pair.source).await.unwrap_err(),
        driver.check_connection(pair).await.unwrap_err(),
        driver.snapshot(pair, GROUP, "dr-2").await.unwrap_err(),
        driver.set_schedule(&pair.source, GROUP, false).await.unwrap_err(),
        driver.group(pair, "never-was").await.unwrap_err(),
    ] {
        assert_eq!(
            (error.class, error.kind),
            (Class::Retryable, Kind::Unavailable),
            "{error}"
        );
        assert!(
            error.message.ends_with('.') && error.message.contains("127.0.0.1"),
            "{error}"
        );
    }
    // The one that can be reached is rid of it all the same.
    assert_eq!(
        driver
            .remove_snapshot(pair, GROUP, "dr-1")
            .await
            .unwrap_err()
            .class,
        Class::Retryable
    );
    let left = driver.replicas(&pair.target, "fa-a", GROUP).await.unwrap();
    assert!(left.iter().all(|replica| replica.suffix != "dr-1"));
    lab.fabric.set_power("fa-a", true).unwrap();
    driver.remove_snapshot(pair, GROUP, "dr-1").await.unwrap();
}

#[tokio::test]
async fn a_wrong_token_is_no_outage() {
    let lab = survivor().await;
    let mut pair = lab.pair.clone();
    pair.target.token = "wrong".into();
    let error = lab
        .driver
        .replicas(&pair.target, "fa-a", GROUP)
        .await
        .unwrap_err();
    assert_eq!((error.class, error.kind), (Class::Permanent, Kind::Unauthorized));
    assert!(!error.message.contains("wrong"), "{error}");
}
