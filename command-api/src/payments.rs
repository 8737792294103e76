//! Carries payments to their end (PM-3), outside the writers, so that a slow provider never blocks
//! an inventory.
//!
//! What is to be done is a pure function of the inventory's state
//! ([`domain::inventory::Inventory::payment_steps`]); this module only does it, as often as needed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::inventory::{
    CHARGE_PATIENCE_S, Command, Inventory, PaymentFailure, PaymentResult, PaymentStep,
};
use domain::{BookingId, PaymentId, Time};
use infra::clock::Clock;
use infra::http::carried;
use infra::payment::{
    Charge, ChargeOutcome, PaymentProvider, PaymentStatus, ProviderError, Refund,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::runtime::{Inventories, Job, Origin, Outcome};

/// The first and the longest pause before a provider, or the log, is asked again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Refunds are owed for one reason only per payment, so that the provider pays back once.
const REFUND_REASON: &str = "owed";

/// How the writers tell what is to be done.
pub(crate) struct Payments(mpsc::UnboundedSender<Vec<PaymentStep>>);

impl Payments {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Vec<PaymentStep>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// These steps are due. Those under way already are passed over.
    pub(crate) fn notice(&self, steps: Vec<PaymentStep>) {
        if !steps.is_empty() {
            // Nobody listens only while the program stops; the log remembers.
            let _ = self.0.send(steps);
        }
    }
}

/// Talks to the payment provider for all inventories.
pub(crate) struct Saga {
    pub(crate) provider: Arc<dyn PaymentProvider>,
    pub(crate) inventories: Arc<Inventories>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// How long a charge may take before the client is told that it is pending.
    pub(crate) charge_timeout: Duration,
    /// Payments that somebody here works on.
    pub(crate) under_way: watch::Sender<HashSet<PaymentId>>,
}

/// What came of a charge while the client waited.
pub(crate) enum Charged {
    /// The provider answered, and this is what the inventory made of it.
    Settled(Box<Outcome<Inventory>>),
    /// The provider could not be reached; nothing was charged.
    ProviderAway,
    /// Nobody knows yet; it will come to its end without the client.
    Pending,
}

/// Keeps anybody else from working on the same payment.
pub(crate) struct Ticket {
    saga: Arc<Saga>,
    payment: PaymentId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.saga.under_way.send_if_modified(|all| all.remove(&self.payment));
    }
}

impl Saga {
    /// Takes the steps that writers notice until the program stops.
    pub(crate) async fn run(self: Arc<Self>, mut steps: mpsc::UnboundedReceiver<Vec<PaymentStep>>) {
        loop {
            let steps = tokio::select! {
                () = self.stop.cancelled() => return,
                steps = steps.recv() => steps,
            };
            for step in steps.into_iter().flatten() {
                let (PaymentStep::AskProvider { payment, .. }
                | PaymentStep::Refund { payment, .. }) = step;
                if let Some(ticket) = self.ticket(payment) {
                    self.tasks.spawn(ticket.carry_out(step));
                }
            }
        }
    }

    /// Waits until nobody here works on the payment, but no longer than for a charge.
    pub(crate) async fn until_ended(&self, payment: PaymentId) {
        let mut under_way = self.under_way.subscribe();
        let ended = under_way.wait_for(|all| !all.contains(&payment));
        // Whoever waited so long looks at what there is.
        let _ = tokio::time::timeout(self.charge_timeout, ended).await;
    }

    /// Nothing if somebody works on the payment already.
    pub(crate) fn ticket(self: &Arc<Self>, payment: PaymentId) -> Option<Ticket> {
        let is_free = self.under_way.send_if_modified(|all| all.insert(payment));
        is_free.then(|| Ticket { saga: self.clone(), payment })
    }

    /// Charges for a booking whose `PaymentStarted` is durable. Goes on if the client goes away.
    pub(crate) async fn charge(
        &self,
        ticket: Ticket,
        booking: BookingId,
        charge: Charge,
        origin: Origin,
    ) -> Charged {
        let (reply, answer) = oneshot::channel();
        self.tasks.spawn(carried(ticket.charge(booking, charge, origin, reply)));
        answer.await.unwrap_or(Charged::Pending)
    }
}

impl Ticket {
    async fn charge(
        self,
        booking: BookingId,
        charge: Charge,
        origin: Origin,
        reply: oneshot::Sender<Charged>,
    ) {
        let started = self.saga.clock.now();
        let asked = self.saga.provider.charge(&charge);
        let result = match tokio::time::timeout(self.saga.charge_timeout, asked).await {
            Ok(Ok(ChargeOutcome::Succeeded)) => Ok(PaymentResult::Succeeded),
            Ok(Ok(ChargeOutcome::Declined)) => Ok(PaymentResult::Failed(PaymentFailure::Declined)),
            Ok(Err(error @ (ProviderError::Unavailable(_) | ProviderError::Refused(_)))) => {
                tracing::error!(payment = %self.payment, %error, "a charge was not taken");
                Err(Some(PaymentResult::Failed(PaymentFailure::NeverArrived)))
            }
            Ok(Err(ProviderError::TimedOut)) | Err(_) => Err(None),
        };
        // Nobody waits for the answer if the client went away.
        match result {
            Ok(result) => {
                let outcome = self.settle(booking, result, origin).await;
                let _ = reply.send(
                    outcome.map_or(Charged::Pending, |outcome| Charged::Settled(Box::new(outcome))),
                );
            }
            Err(Some(result)) => {
                self.settle(booking, result, origin).await;
                let _ = reply.send(Charged::ProviderAway);
            }
            Err(None) => {
                let _ = reply.send(Charged::Pending);
                self.find_out(booking, started.plus_s(CHARGE_PATIENCE_S), origin).await;
            }
        }
    }

    async fn carry_out(self, step: PaymentStep) {
        match step {
            PaymentStep::AskProvider { booking, started_at, .. } => {
                // Later than now only if the clock was ahead then.
                let patience = started_at.min(self.saga.clock.now()).plus_s(CHARGE_PATIENCE_S);
                self.find_out(booking, patience, Origin::system()).await;
            }
            PaymentStep::Refund { booking, amount_minor, currency, .. } => {
                let reason = REFUND_REASON.to_owned();
                let refund = Refund { payment: self.payment, reason, amount_minor, currency };
                self.pay_back(booking, &refund).await;
            }
        }
    }

    /// Asks what became of a charge until that is certain. "Never heard of it" is certain only after
    /// `patience`: before, the order may still be on its way.
    async fn find_out(&self, booking: BookingId, patience: Time, origin: Origin) {
        let mut pause = FIRST_PAUSE;
        loop {
            let result = match self.saga.provider.status(self.payment).await {
                Ok(PaymentStatus::Succeeded) => Some(PaymentResult::Succeeded),
                Ok(PaymentStatus::Declined) => {
                    Some(PaymentResult::Failed(PaymentFailure::Declined))
                }
                Ok(PaymentStatus::NotFound) => (patience <= self.saga.clock.now())
                    .then_some(PaymentResult::Failed(PaymentFailure::NeverArrived)),
                Ok(PaymentStatus::Pending) => None,
                Err(error) => {
                    tracing::warn!(payment = %self.payment, %error, "a payment's status is unknown");
                    None
                }
            };
            if let Some(result) = result {
                self.settle(booking, result, origin).await;
                return;
            }
            if !self.pause(&mut pause).await {
                return;
            }
        }
    }

    async fn pay_back(&self, booking: BookingId, refund: &Refund) {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.saga.provider.refund(refund).await {
            tracing::error!(payment = %self.payment, %error, "a refund was not taken; asking again");
            if !self.pause(&mut pause).await {
                return;
            }
        }
        let command = Command::SettleRefund { booking, payment: self.payment };
        self.deliver(booking, command, Origin::system()).await;
    }

    async fn settle(
        &self,
        booking: BookingId,
        result: PaymentResult,
        origin: Origin,
    ) -> Option<Outcome<Inventory>> {
        let payment = self.payment;
        self.deliver(booking, Command::SettlePayment { booking, payment, result }, origin).await
    }

    /// Has the inventory take in what the provider said, however long that takes; `None` if the
    /// program stops first. Then the log still says that the payment is open.
    async fn deliver(
        &self,
        booking: BookingId,
        command: Command,
        origin: Origin,
    ) -> Option<Outcome<Inventory>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let job = Job { command: command.clone(), origin: origin.clone() };
            match self.saga.inventories.execute(booking.event, job).await {
                Err(failure) if failure.is_of_log() => {
                    if !self.pause(&mut pause).await {
                        return None;
                    }
                }
                outcome => return Some(outcome),
            }
        }
    }

    /// Waits, each time longer; `false` if the program stops.
    async fn pause(&self, pause: &mut Duration) -> bool {
        let length = *pause;
        *pause = (length * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = self.saga.stop.cancelled() => false,
            () = tokio::time::sleep(length) => true,
        }
    }
}
