//! What every database must do, asked through the ports alone.

mod concurrency;
mod facts;
mod groups;
mod journal;
mod operations;
pub mod samples;
mod sites;
mod sync;

use std::future::Future;
use std::sync::Arc;

use protector_ports::Store;

/// Runs every part, each on a fresh store.
pub async fn suite<F, Made>(fresh: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn Store>>,
{
    sites::sites_and_their_credentials(fresh().await).await;
    sites::a_site_in_use_stays(fresh().await).await;
    sites::tenant_mappings(fresh().await).await;
    groups::a_group_comes_back_as_it_was(fresh().await).await;
    groups::names_are_taken_per_project(fresh().await).await;
    groups::a_server_is_protected_once(fresh().await).await;
    groups::lists_are_filtered_sorted_and_cut(fresh().await).await;
    groups::secrets_belong_to_their_array_and_group(fresh().await).await;
    groups::a_deleted_group_leaves_its_operations(fresh().await).await;
    facts::the_last_facts_are_kept_with_their_group(fresh().await).await;
    operations::operations_come_back_and_are_listed(fresh().await).await;
    sync::a_nonce_serves_once_and_not_for_long(fresh().await).await;
    sync::the_history_is_kept_newest_first(fresh().await).await;
    journal::a_saga_is_written_with_its_change(fresh().await).await;
    journal::one_saga_at_a_time(fresh().await).await;
    journal::a_claim_is_exclusive_and_fenced(fresh().await).await;
    journal::requests_need_no_claim(fresh().await).await;
    journal::every_event_comes_back(fresh().await).await;
    journal::a_saga_runs_to_its_end_on_this_journal(fresh().await).await;
    concurrency::a_stale_writer_is_refused(fresh().await).await;
    concurrency::of_many_writers_one_wins_each_round(fresh().await).await;
    concurrency::of_many_claimants_one_wins(fresh().await).await;
    concurrency::a_fenced_engine_writes_nothing(fresh().await).await;
}
