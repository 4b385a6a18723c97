//! Somebody who looks at both sites all the time, around the proxies, and writes down what they hold.

use std::sync::Arc;
use std::time::Duration;

use protector_tests::Session;
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use crate::record::Side;
use crate::scene::Scene;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(30);

/// As long as the other end of `while_` is held. A site that is down isn't seen.
pub async fn watch(scene: Arc<Scene>, sessions: [Session; 2], while_: Receiver<()>) {
    while while_.has_changed().is_ok() {
        for (group, id) in scene.ids.iter().enumerate() {
            let path = format!("/protection-groups/{id}/metadata");
            let begun = scene.now();
            let [a, b] = &sessions;
            let (a, b) = tokio::join!(a.get(&path), b.get(&path));
            for (side, seen) in [(Side::A, a), (Side::B, b)] {
                if let Ok(seen) = seen {
                    scene.looked(group, side, begun, &seen["bundle"]);
                }
            }
        }
        sleep(INTERVAL).await;
    }
}
