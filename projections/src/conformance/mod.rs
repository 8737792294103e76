//! What the projections have to do on every database, as tests that any PostgreSQL can run.
//!
//! [`projection_conformance!`](crate::projection_conformance) makes one test of each case. A case
//! gets a database that nobody else uses, without any table.

mod batches;
mod identity;
mod poison;
mod rebuilds;
mod runners;
mod shop;
mod stage;
mod story;
mod tally;
mod views;

pub use batches::*;
pub use identity::*;
pub use poison::*;
pub use rebuilds::*;
pub use runners::*;
pub use tally::*;
pub use views::*;

/// Makes a test of every case. `$open` is called for each, without arguments; it gives something
/// with `pool()`, an empty database, and with `close().await`, or `None` where there is no such
/// database.
#[macro_export]
macro_rules! projection_conformance {
    ($open:path) => {
        $crate::projection_conformance! { $open;
            the_story_has_every_fact
            the_catalog_shows_venues_and_events
            availability_and_seats_are_what_an_outsider_counts
            bookings_show_what_became_of_them
            bookings_are_counted_by_state
            the_waitlist_shows_who_waits
            the_audit_index_finds_every_record
            one_batch_is_as_good_as_one_by_one
            a_record_is_applied_once_by_two_runners
            a_record_is_applied_once_however_often_a_runner_is_killed
            a_beginning_that_is_dropped_leaves_no_transaction
            a_batch_that_comes_again_changes_nothing
            a_cut_connection_only_delays
            one_process_at_a_time_keeps_the_views
            records_a_view_does_not_want_move_its_checkpoint
            a_record_that_cannot_be_applied_is_parked_with_what_follows
            parked_records_are_applied_when_they_can_be
            a_rebuild_gives_the_same_rows_while_all_goes_on
            a_long_log_is_rebuilt_in_many_batches
            a_damaged_view_is_made_whole
            a_rebuild_parks_what_cannot_be_applied
            a_rebuild_that_was_cut_short_is_taken_away
            a_rebuild_that_was_taken_over_ends
            a_rebuild_that_makes_indexes_is_left_alone
            one_rebuild_at_a_time
            a_view_that_does_not_exist_is_refused
            a_view_of_an_older_version_is_built_again
            a_view_of_a_newer_version_is_left_alone
            a_database_belongs_to_one_log
            a_database_starts_afresh
            tables_are_set_up_once
            how_far_behind_a_view_is_can_be_seen
        }
    };
    ($open:path; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(database) = $open().await else { return };
                $crate::conformance::$case(database.pool()).await;
                database.close().await;
            }
        )*
    };
}
