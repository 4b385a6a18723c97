//! A saga that comes with no change of anything else.

use protector_ports::store::StoreResult;
use protector_saga::NewSaga;

use super::sagas;
use crate::SqlStore;

impl SqlStore {
    pub async fn begin_saga(&self, saga: &NewSaga) -> StoreResult<()> {
        let mut transaction = self.database.begin().await?;
        sagas::insert(&mut transaction, saga).await?;
        transaction.commit().await
    }
}
