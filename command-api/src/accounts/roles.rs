//! What people may be, as admins say (AC-1).

use std::sync::Arc;

use domain::account::{Account, Command};
use domain::administration::RolesOrdered;
use domain::seating::Invalid;
use domain::{Role, UserId};
use infra::identity::Field;
use serde::Serialize;

use super::orders::check_reason;
use super::{AccountError, Accounts, Opened, origin};

/// What an admin changes.
#[derive(Debug, Serialize)]
pub(crate) struct RoleChange {
    pub(crate) grant: Vec<Role>,
    pub(crate) revoke: Vec<Role>,
    pub(crate) reason: String,
}

impl RoleChange {
    fn check(&self) -> Result<(), Invalid> {
        let some = self.grant.len() + self.revoke.len() > 0;
        Invalid::unless(some, || "grant".to_owned(), "a list of roles, or revoke is")?;
        let apart = self.grant.iter().all(|role| !self.revoke.contains(role));
        Invalid::unless(apart, || "revoke".to_owned(), "without the roles that are granted")?;
        check_reason(&self.reason)
    }
}

impl Accounts {
    /// Changes what somebody may be, also if who orders it does not wait for it. What is granted is in
    /// force with their next access token; with what is revoked those end that there are.
    pub(crate) async fn order_roles(
        self: &Arc<Self>,
        user: UserId,
        change: RoleChange,
        by: Option<UserId>,
        key: Option<String>,
    ) -> Result<Opened, AccountError> {
        let accounts = self.clone();
        let changing = async move { accounts.change_roles(user, change, by, key.as_deref()).await };
        self.to_its_end(changing).await
    }

    async fn change_roles(
        &self,
        user: UserId,
        mut change: RoleChange,
        by: Option<UserId>,
        key: Option<&str>,
    ) -> Result<Opened, AccountError> {
        change.check()?;
        if let Some(by) = by {
            self.still_orders(by).await?;
        }
        let before = self.of(user).await?;
        let request = before.request(key, "change-roles", &(by, &change))?;
        let is_one = before.account.roles.has(Role::Admin);
        let leaving = match is_one && change.revoke.contains(&Role::Admin) {
            true => Some(self.leaves_an_admin(user).await?),
            false => None,
        };
        for roles in [&mut change.grant, &mut change.revoke] {
            roles.sort_unstable();
            roles.dedup();
        }
        let RoleChange { grant, revoke, reason } = change;
        let reason = before.key.seal(Field::Reason, reason.as_bytes())?;
        let order = RolesOrdered {
            user,
            grant: grant.clone(),
            revoke: revoke.clone(),
            by,
            reason: reason.clone(),
            request: request.clone(),
        };
        self.write_down(order.into()).await?;
        let is_less = !revoke.is_empty();
        let is_more = grant.iter().any(|role| *role != Role::Attendee);
        let command = Command::ChangeRoles { grant, revoke, by, reason, request: request.clone() };
        let done = self.execute::<Account>(user, command, origin(by)).await?;
        drop(leaving);
        // Also if it was so before: whoever ordered it may not have come as far as this.
        if is_more && !done.seen.logins.is_empty() {
            // Who may do more than buy is not had by way of a provider, also who is in already.
            self.end_sessions(user).await?;
        } else if is_less {
            self.bar_older(user).await?;
        }
        if done.facts.is_empty()
            && let Some(request) = request
        {
            return self.right_after(before, &request).await;
        }
        Ok(Opened { user, account: done.seen, key: before.key, position: done.position })
    }

    /// Sees in the log that who orders it has not been erased, or ceased to be an admin: other nodes learn
    /// of that a moment later, in which nobody is to make themselves one again. A token that the operator
    /// made may be of somebody without an account.
    async fn still_orders(&self, by: UserId) -> Result<(), AccountError> {
        let (account, _) = self.look::<Account>(by).await?;
        let was_one = account.ever.has(Role::Admin) && !account.roles.has(Role::Admin);
        match account.is_erased || was_one {
            true => Err(AccountError::NoAdmin),
            false => Ok(()),
        }
    }

    /// Makes somebody an admin, for the command line.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn make_admin(&self, user: UserId, reason: &str) -> Result<(), AccountError> {
        let (grant, reason) = (vec![Role::Admin], reason.to_owned());
        self.change_roles(user, RoleChange { grant, revoke: vec![], reason }, None, None).await?;
        Ok(())
    }
}
