//! What every database must do, asked through the ports alone.

mod concurrency;
mod facts;
mod groups;
mod journal;
mod operations;
pub mod samples;
mod sites;
mod sync;

/// Each part on a fresh store of either kind.
macro_rules! suite {
    ($($subject:ident::$test:ident,)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let fixture = crate::fixture::Fixture::sqlite();
                super::$subject::$test(std::sync::Arc::new(fixture.migrated().await)).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let fixture = crate::fixture::Fixture::mariadb();
                super::$subject::$test(std::sync::Arc::new(fixture.migrated().await)).await;
            })*
        }
    };
}

suite! {
    sites::sites_and_their_credentials,
    sites::a_site_in_use_stays,
    sites::tenant_mappings,
    groups::a_group_comes_back_as_it_was,
    groups::names_are_taken_per_project,
    groups::a_server_is_protected_once,
    groups::lists_are_filtered_sorted_and_cut,
    groups::secrets_belong_to_their_array_and_group,
    groups::a_deleted_group_leaves_a_grave,
    groups::a_deleted_group_leaves_its_operations,
    facts::the_last_facts_are_kept_with_their_group,
    operations::operations_come_back_and_are_listed,
    sync::a_nonce_serves_once_and_not_for_long,
    sync::the_history_is_kept_newest_first,
    sync::the_last_common_version_is_kept_until_the_next,
    sync::a_lost_edit_is_kept_with_its_line,
    journal::a_saga_is_written_with_its_change,
    journal::one_saga_at_a_time,
    journal::a_claim_is_exclusive_and_fenced,
    journal::requests_need_no_claim,
    journal::every_event_comes_back,
    journal::a_saga_runs_to_its_end_on_this_journal,
    concurrency::a_stale_writer_is_refused,
    concurrency::of_many_writers_one_wins_each_round,
    concurrency::of_many_claimants_one_wins,
    concurrency::a_fenced_engine_writes_nothing,
}
