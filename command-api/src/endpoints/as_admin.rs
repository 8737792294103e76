//! What an admin does with what is another's: it is an order, which says why, and is written down first.

use domain::administration::{
    BookingCancellationOrdered, EventCancellationOrdered, EventChangeOrdered,
    EventPublicationOrdered, Fact, VenueChangeOrdered,
};
use domain::inventory::Command;
use domain::venue::Venue;
use domain::{Aggregate as _, BookingId, EventId, UserId, VenueId};
use infra::http::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::accounts::Ordered;
use crate::refusal;
use crate::runtime::Origin;
use crate::state::{Asked, CommandState};

/// Why an admin does it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReasonQuery {
    /// Why. To be given by an admin who does it with what is another's: kept with who did it, and readable
    /// for auditors until the other is erased. From anybody else it is not looked at.
    reason: Option<String>,
}

impl CommandState {
    /// Writes down that a booking is to be cancelled, if it is another's and an admin asks.
    pub(super) async fn order_booking_cancelled(
        &self,
        asked: &Asked,
        booking: BookingId,
        why: ReasonQuery,
    ) -> Result<(), Problem> {
        if !asked.with_anothers() {
            return Ok(());
        }
        let find = Command::Find { booking };
        let found = self.inventory(booking.event, find, Origin::system()).await?;
        let owner = found.seen.booking.map(|booking| booking.user);
        let order = |Ordered { by, owner, reason, request }| {
            BookingCancellationOrdered { booking, by, owner, reason: Some(reason), request }.into()
        };
        self.order(asked, owner, why, order).await
    }

    /// Writes down that an event is to be cancelled, if it is another's and an admin asks.
    pub(super) async fn order_event_cancelled(
        &self,
        asked: &Asked,
        event: EventId,
        why: ReasonQuery,
    ) -> Result<(), Problem> {
        let order = |Ordered { by, owner, reason, request }| {
            EventCancellationOrdered { event, by, owner, reason: Some(reason), request }.into()
        };
        self.order_of_event(asked, event, why, order).await
    }

    /// Writes down that an event is to be published, if it is another's and an admin asks.
    pub(super) async fn order_event_published(
        &self,
        asked: &Asked,
        event: EventId,
        why: ReasonQuery,
    ) -> Result<(), Problem> {
        let order = |Ordered { by, owner, reason, request }| {
            EventPublicationOrdered { event, by, owner, reason, request }.into()
        };
        self.order_of_event(asked, event, why, order).await
    }

    /// Writes down that an event is to be changed, if it is another's and an admin asks.
    pub(super) async fn order_event_changed(
        &self,
        asked: &Asked,
        event: EventId,
        why: ReasonQuery,
    ) -> Result<(), Problem> {
        let order = |Ordered { by, owner, reason, request }| {
            EventChangeOrdered { event, by, owner, reason, request }.into()
        };
        self.order_of_event(asked, event, why, order).await
    }

    /// Writes down that a venue is to be changed, if it is another's and an admin asks.
    pub(super) async fn order_venue_changed(
        &self,
        asked: &Asked,
        venue: VenueId,
        why: ReasonQuery,
    ) -> Result<(), Problem> {
        if !asked.with_anothers() {
            return Ok(());
        }
        let mut unit = self.unit::<Venue>(Venue::stream(venue));
        let state = unit.look().await.map_err(|unread| refusal::venue(unread.into()))?;
        let order = |Ordered { by, owner, reason, request }| {
            VenueChangeOrdered { venue, by, owner, reason, request }.into()
        };
        self.order(asked, state.owner, why, order).await
    }

    async fn order_of_event(
        &self,
        asked: &Asked,
        event: EventId,
        why: ReasonQuery,
        order: impl FnOnce(Ordered) -> Fact,
    ) -> Result<(), Problem> {
        if !asked.with_anothers() {
            return Ok(());
        }
        let owner = self.event_now(event).await?.organizer;
        self.order(asked, owner, why, order).await
    }

    /// Nothing is ordered of one's own, nor of what does not exist: that the command itself says.
    async fn order(
        &self,
        asked: &Asked,
        owner: Option<UserId>,
        why: ReasonQuery,
        order: impl FnOnce(Ordered) -> Fact,
    ) -> Result<(), Problem> {
        let by = asked.user();
        let Some(owner) = owner.filter(|owner| *owner != by) else { return Ok(()) };
        let (reason, request) = (why.reason.as_deref(), asked.request.clone());
        Ok(self.0.accounts.order(by, owner, reason, request, order).await?)
    }
}
