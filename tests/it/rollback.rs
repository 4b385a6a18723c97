//! Whatever goes wrong before the point of no return, everything is as it was.

#[tokio::test]
async fn nothing_yet() {}
