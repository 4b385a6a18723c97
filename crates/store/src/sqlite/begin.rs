//! A saga that comes with no change of anything else.

use protector_ports::store::StoreResult;
use protector_saga::NewSaga;

use super::{SqliteStore, sagas, unavailable};

impl SqliteStore {
    pub async fn begin_saga(&self, saga: &NewSaga) -> StoreResult<()> {
        let mut transaction = self.begin().await?;
        sagas::insert(&mut transaction, saga).await?;
        transaction.commit().await.map_err(unavailable)
    }
}
