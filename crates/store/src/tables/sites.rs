//! Sites and the credentials by which the engine acts on them.

use protector_domain::{Site, SiteId};
use protector_ports::cloud::Credentials;
use protector_ports::{StoreError, store::StoreResult};

use crate::columns::{id, time, time_text, word};
use crate::database::{Connection, Row, query, refers_to_nothing, taken, unavailable};
use crate::store::SqlStore;

fn password_place(site: SiteId) -> String {
    format!("sites/{site}/service_password")
}

fn site(row: &Row) -> StoreResult<Site> {
    Ok(Site {
        id: id(&row.text("id")?)?,
        name: row.text("name")?,
        description: row.text("description")?,
        site_type: word(&row.text("site_type")?)?,
        auth_url: row.text("auth_url")?,
        region_name: row.maybe("region_name")?,
        public_key: row.maybe("public_key")?,
        status: word(&row.text("status")?)?,
        status_reason: row.maybe("status_reason")?,
        created_at: time(&row.text("created_at")?)?,
        updated_at: time(&row.text("updated_at")?)?,
    })
}

fn taken_by(site: &Site, error: sqlx::Error) -> StoreError {
    match taken(&error) {
        Some(columns) if columns.contains("sites_name") => {
            StoreError::Exists(format!("a site named '{}'", site.name))
        }
        Some(_) => StoreError::Exists(format!("site {}", site.id)),
        None => unavailable(error),
    }
}

impl SqlStore {
    pub(crate) async fn site_insert(
        &self,
        site: &Site,
        credentials: Option<&Credentials>,
    ) -> StoreResult<()> {
        const INSERT: &str = "INSERT INTO sites (id, name, description, site_type, auth_url, region_name, public_key, \
             status, status_reason, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let mut transaction = self.database.begin().await?;
        query(INSERT)
            .bind(site.id.to_string())
            .bind(&site.name)
            .bind(&site.description)
            .bind(site.site_type.as_str())
            .bind(&site.auth_url)
            .bind(&site.region_name)
            .bind(&site.public_key)
            .bind(site.status.as_str())
            .bind(&site.status_reason)
            .bind(time_text(site.created_at))
            .bind(time_text(site.updated_at))
            .execute(&mut transaction)
            .await
            .map_err(|error| taken_by(site, error))?;
        self.keep_credentials(&mut transaction, site.id, credentials)
            .await?;
        transaction.commit().await
    }

    pub(crate) async fn site_update(
        &self,
        site: &Site,
        credentials: Option<&Credentials>,
    ) -> StoreResult<()> {
        const UPDATE: &str = "UPDATE sites SET name = ?, description = ?, site_type = ?, auth_url = ?, region_name = ?, \
             public_key = ?, status = ?, status_reason = ?, updated_at = ? WHERE id = ?";
        let mut transaction = self.database.begin().await?;
        let done = query(UPDATE)
            .bind(&site.name)
            .bind(&site.description)
            .bind(site.site_type.as_str())
            .bind(&site.auth_url)
            .bind(&site.region_name)
            .bind(&site.public_key)
            .bind(site.status.as_str())
            .bind(&site.status_reason)
            .bind(time_text(site.updated_at))
            .bind(site.id.to_string())
            .execute(&mut transaction)
            .await
            .map_err(|error| taken_by(site, error))?;
        if done == 0 {
            return Err(StoreError::Missing(format!("site {}", site.id)));
        }
        self.keep_credentials(&mut transaction, site.id, credentials)
            .await?;
        transaction.commit().await
    }

    async fn keep_credentials(
        &self,
        connection: &mut Connection,
        site: SiteId,
        credentials: Option<&Credentials>,
    ) -> StoreResult<()> {
        const UPDATE: &str = "UPDATE sites SET service_username = ?, service_password = ?, service_project_name = ?, \
             service_user_domain_name = ?, service_project_domain_name = ? WHERE id = ?";
        let Some(credentials) = credentials else {
            return Ok(());
        };
        let password = self.seal(&credentials.password, &password_place(site))?;
        query(UPDATE)
            .bind(&credentials.username)
            .bind(password)
            .bind(&credentials.project_name)
            .bind(&credentials.user_domain_name)
            .bind(&credentials.project_domain_name)
            .bind(site.to_string())
            .execute(connection)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn site_delete(&self, site: SiteId) -> StoreResult<()> {
        let mut transaction = self.database.begin().await?;
        let done = query("DELETE FROM sites WHERE id = ?")
            .bind(site.to_string())
            .execute(&mut transaction)
            .await;
        match done {
            Ok(0) => Err(StoreError::Missing(format!("site {site}"))),
            Ok(_) => transaction.commit().await,
            Err(error) if refers_to_nothing(&error) => Err(StoreError::InUse(format!("site {site}"))),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(crate) async fn site_list(&self) -> StoreResult<Vec<Site>> {
        let rows = query("SELECT * FROM sites ORDER BY name")
            .fetch_all(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        rows.iter().map(site).collect()
    }

    pub(crate) async fn site_get(&self, wanted: SiteId) -> StoreResult<Option<Site>> {
        let row = query("SELECT * FROM sites WHERE id = ?")
            .bind(wanted.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(site).transpose()
    }

    pub(crate) async fn credentials_get(&self, site: SiteId) -> StoreResult<Option<Credentials>> {
        let row = query("SELECT * FROM sites WHERE id = ? AND service_username IS NOT NULL")
            .bind(site.to_string())
            .fetch_optional(&mut self.database.read().await?)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Credentials {
            username: row.text("service_username")?,
            password: self.open(&row.text("service_password")?, &password_place(site))?,
            project_name: row.text("service_project_name")?,
            user_domain_name: row.text("service_user_domain_name")?,
            project_domain_name: row.text("service_project_domain_name")?,
        }))
    }
}
