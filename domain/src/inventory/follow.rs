//! How an inventory follows its event: opened, revised, closed.

use super::{Fact, Inventory, InventoryClosed, InventoryOpened, InventoryRevised, Plan, Refusal};
use crate::EventId;
use crate::event::{Stock, Tier};

impl Plan {
    /// The rules alone.
    pub(super) fn without_tiers(&self) -> Self {
        Self {
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            currency: self.currency,
            tiers: vec![],
            hold_ttl_s: self.hold_ttl_s,
            offer_ttl_s: self.offer_ttl_s,
            max_per_booking: self.max_per_booking,
            max_per_user: self.max_per_user,
            refund_policy: self.refund_policy.clone(),
        }
    }
}

impl Inventory {
    /// The inventory does what the event's organizer wants, but keeps what was bought (CT-2).
    pub(super) fn follow_event(
        &self,
        event: EventId,
        event_version: u64,
        plan: Option<&Plan>,
    ) -> Vec<Fact> {
        let known = self.event.is_some();
        if known && (event_version <= self.event_version || self.closed) {
            return vec![];
        }
        match plan {
            None if known => vec![InventoryClosed { event, event_version }.into()],
            None => vec![],
            Some(plan) if known => {
                let plan = self.keep_bought(plan);
                vec![InventoryRevised { event, plan, event_version }.into()]
            }
            Some(plan) => {
                vec![InventoryOpened { event, plan: plan.clone(), event_version }.into()]
            }
        }
    }

    /// Tickets of a tier that are sold or held.
    fn bought(&self, tier: &Tier) -> u32 {
        self.stock.tier(tier.tier).map_or(0, |(_, state)| state.held + state.sold)
    }

    /// The plan with no tier below what was bought. What a tier keeps more than the plan gives it
    /// is taken from what is still free in its section: the section does not grow (BK-5).
    fn keep_bought(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        for index in 0..plan.tiers.len() {
            let bought = self.bought(&plan.tiers[index]);
            let Stock::Counted { capacity, section } = &mut plan.tiers[index].stock else {
                continue;
            };
            let more = bought.saturating_sub(*capacity);
            *capacity += more;
            if let Some(section) = section.clone() {
                self.take_back(&mut plan.tiers, &section, more);
            }
        }
        plan
    }

    /// Takes `more` places that nobody bought from the tiers of a section.
    fn take_back(&self, tiers: &mut [Tier], section: &str, mut more: u32) {
        for tier in tiers.iter_mut().filter(|tier| tier.stock.section() == Some(section)) {
            let bought = self.bought(tier);
            if let Stock::Counted { capacity, .. } = &mut tier.stock {
                let taken = more.min(capacity.saturating_sub(bought));
                *capacity -= taken;
                more -= taken;
            }
        }
    }

    /// Whether the plan could be followed without keeping more than it wants.
    pub(super) fn check_plan(&self, plan: &Plan) -> Result<(), Refusal> {
        for tier in &plan.tiers {
            // Seats of a published tier never change: only places can become fewer.
            let Stock::Counted { capacity: requested, .. } = tier.stock else { continue };
            let Some((_, state)) = self.stock.tier(tier.tier) else { continue };
            let (sold, held) = (state.sold, state.held);
            if requested < sold + held {
                return Err(Refusal::CapacityBelowSold { tier: tier.tier, requested, sold, held });
            }
        }
        Ok(())
    }
}
