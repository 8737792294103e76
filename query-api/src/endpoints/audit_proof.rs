//! `GET /audit/proof/{event_id}`: that an event's stock was neither altered nor oversold (AU-2).

use axum::extract::State;
use domain::inventory::{Fact, Ledger, stream};
use domain::{EventId, StoredFact, TierId};
use infra::http::{Json, MinPosition, Path, Problem, ProblemDocument};
use infra::log::chain::ChainVerifier;
use infra::log::{Position, Record};
use serde::Serialize;
use utoipa::ToSchema;

use crate::QueryState;
use crate::problems::{self, no_event};

/// Findings listed at most; all are counted.
const LISTED: usize = 100;

/// What reading an inventory's whole stream showed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proof {
    /// Which event.
    #[schema(value_type = String)]
    event_id: EventId,
    /// Name of the stream that was read.
    stream: String,
    /// How many records it has.
    record_count: u64,
    /// Its last record: its hash vouches for all before it.
    head: Head,
    /// Whether every record is as it was written.
    intact: bool,
    /// The first record that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Finding>,
    /// Whether at some position more was sold or held than there is, or a seat had two owners, or
    /// a booking gave what it did not hold (BK-5).
    oversold: bool,
    /// How many facts break a rule of the stock or cannot be read.
    finding_count: u64,
    /// The first hundred of them.
    findings: Vec<Finding>,
    /// What is left in the end.
    tiers: Vec<ProvenTier>,
}

/// A stream's last record.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Head {
    /// Place in the whole log.
    #[schema(value_type = u64)]
    position: Position,
    /// Place in the stream.
    revision: u64,
    /// In hexadecimal digits.
    hash: String,
}

/// A record that is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// Place in the whole log.
    #[schema(value_type = u64)]
    position: Position,
    /// Place in the stream.
    revision: u64,
    /// What is wrong.
    problem: String,
}

/// A tier as counted from the facts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProvenTier {
    /// Which tier.
    #[schema(value_type = String)]
    tier_id: TierId,
    /// Places there are.
    capacity: u32,
    /// Places that someone is about to pay for.
    held: u32,
    /// Places sold.
    sold: u32,
}

/// Reads an event's whole inventory stream: whether the chain of hashes holds and whether it was
/// ever oversold. For auditors and admins.
#[utoipa::path(
    get,
    path = "/api/v1/audit/proof/{event_id}",
    tag = "audit",
    params(
        ("event_id" = String, Path, description = "`evt_...`"),
        ("Evently-Min-Position" = Option<u64>, Header, description = "What the answer must include"),
    ),
    responses(
        (status = 200, description = "What the log shows of the event", body = Proof),
        (status = 400, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument<'static>, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "EVENT_NOT_FOUND: no such event, or it was never published"),
        (status = 503, body = ProblemDocument<'static>, content_type = "application/problem+json",
            description = "LOG_UNAVAILABLE"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn get_proof(
    State(state): State<QueryState>,
    Path(event): Path<EventId>,
    MinPosition(min): MinPosition,
) -> Result<Json<Proof>, Problem> {
    state.live.at_least(min).await?;
    let mut examination = Examination::default();
    let examined = state.live.look_back(event, |record| {
        examination.take(record);
        true
    });
    examined.await.map_err(|error| problems::log(&error))?;
    examination.proof(event).map(Json).ok_or_else(no_event)
}

#[derive(Default)]
struct Examination {
    chain: ChainVerifier,
    broken: Option<Finding>,
    ledger: Ledger,
    oversold: bool,
    records: u64,
    head: Head,
    finding_count: u64,
    findings: Vec<Finding>,
}

impl Examination {
    fn take(&mut self, record: &Record) {
        let (position, revision) = (record.position, record.revision);
        let finding = |problem| Finding { position, revision, problem };
        self.records += 1;
        self.head = Head { position, revision, hash: record.hash.to_string() };
        // After the first break the chain proves nothing.
        if self.broken.is_none()
            && let Err(broken) = self.chain.verify(record)
        {
            self.broken = Some(finding(broken.fault.to_string()));
        }
        let problem = match Fact::decode(&record.kind, record.version, &record.data) {
            Ok(fact) => self.ledger.apply(&fact).err().map(|violation| {
                self.oversold = true;
                violation.to_string()
            }),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            self.finding_count += 1;
            if self.findings.len() < LISTED {
                self.findings.push(finding(problem));
            }
        }
    }

    fn proof(self, event_id: EventId) -> Option<Proof> {
        let tiers = self.ledger.tiers().iter().map(|tier| ProvenTier {
            tier_id: tier.terms.tier,
            capacity: tier.capacity,
            held: tier.held,
            sold: tier.sold,
        });
        (self.records > 0).then(|| Proof {
            event_id,
            stream: stream(event_id),
            record_count: self.records,
            intact: self.broken.is_none(),
            oversold: self.oversold,
            tiers: tiers.collect(),
            head: self.head,
            broken: self.broken,
            finding_count: self.finding_count,
            findings: self.findings,
        })
    }
}
