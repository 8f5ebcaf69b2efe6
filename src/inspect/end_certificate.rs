//! The certificate of an account's end: when it ended and who decided it, its statements with their digests, and how long what is held of
//! it is kept.
//!
//! It is made from the ledger each time and stands nowhere else, so it is proved by what proves the ledger: `verify` checks the seals of
//! the end and of the audit trail, and every statement against its digest. The same ledger and settings give the same bytes.

use chrono::{Days, Months, NaiveDate};

use crate::catalog::account::Account;
use crate::catalog::account::store::load_account;
use crate::catalog::account::unknown::unknown_account;
use crate::context::{Books, Settings};
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::store::statements_of;
use crate::storage::ledger::audit_trail;
use crate::support::error::{Error, Result};
use crate::support::page::{escaped, html};
use crate::values::calendar::Period;
use crate::values::digest::sha256_hex;

/// The layout of the JSON; a change of it changes the number.
pub const VERSION: u32 = 1;

/// The JSON, with its keys in this order.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EndCertificate {
    pub version: u32,
    pub uin: String,
    /// The first day that is not billed, in the account's zone.
    pub end_day: NaiveDate,
    /// IANA time zone.
    pub zone: &'static str,
    /// Its end, and earlier ends with what took them back, oldest first.
    pub decisions: Vec<Decided>,
    /// None where the account begins on its end day.
    pub last_period: Option<Period>,
    /// The day up to which its periods are closed; none while none is.
    pub closed_to: Option<NaiveDate>,
    /// All its statements, oldest first.
    pub statements: Vec<Stated>,
    pub kept: Kept,
}

/// A decision of the audit trail.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Decided {
    pub audit_entry: i64,
    pub action: String,
    /// RFC 3339.
    pub at: String,
    pub who: String,
    pub reason: String,
}

/// A statement of the account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Stated {
    pub statement_id: String,
    pub currency: String,
    /// With the decimals of the currency.
    pub total: String,
    /// SHA-256, the newest of which proves those before it.
    pub digest: String,
}

/// The day from which on something is deleted, if nothing that it paid for is open then: by the settings of now.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Kept {
    /// Service-log fields of its last day.
    pub service_log_until: Option<NaiveDate>,
    /// Raw records of its last day.
    pub raw_records_until: Option<NaiveDate>,
    /// Definitions of sources that name no other account.
    pub configuration_until: Option<NaiveDate>,
}

impl EndCertificate {
    /// The certificate of an account that has ended.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such account, and where it has not ended.
    pub async fn of(books: &Books, uin: u64) -> Result<Self> {
        let Some(account) = load_account(&books.ledger, uin).await? else {
            return Err(unknown_account(&books.ledger, uin).await?);
        };
        let Some(end_day) = account.ended_on() else {
            return Err(Error::Usage(format!(
                "account {uin} has not ended, so there is nothing to certify; `tallybook terminate {uin} --on DAY --reason TEXT` ends it"
            )));
        };
        Ok(Self {
            version: VERSION,
            uin: uin.to_string(),
            end_day,
            zone: account.terms[0].zone.name(),
            decisions: decisions(books, uin).await?,
            last_period: last_period(&account, end_day),
            closed_to: account.closed_to,
            statements: statements_of(&books.ledger, uin)
                .await?
                .iter()
                .map(Stated::from)
                .collect(),
            kept: Kept::of(&books.settings, end_day),
        })
    }

    /// The text, and its digest (SHA-256).
    ///
    /// # Errors
    /// None that is known: it is plain data.
    pub fn to_text(&self) -> Result<(String, String)> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let digest = sha256_hex(text.as_bytes());
        Ok((text, digest))
    }

    /// A page to send, as HTML.
    pub fn page(&self, digest: &str) -> String {
        let statements: String = self.statements.iter().map(Stated::row).collect();
        let last_period = match self.last_period {
            Some(Period { start, end }) => format!("<br>Last period: {start} up to, not including, {end}"),
            None => String::new(),
        };
        let body = format!(
            "<p>First day that is not billed: {end_day} ({zone}){last_period}</p>\n\
             <h2>Statements</h2>\n<table>\n<tr><th>Statement</th><th>Total</th><th>SHA-256</th></tr>\n{statements}</table>\n\
             <h2>What is kept, and until when</h2>\n\
             <p>Statements, totals and daily usage are kept, because the law on bookkeeping asks for them. Records of the last day are \
             deleted from {raw} on, their service-log fields from {log} on, settings of the account from {configuration} on, unless \
             something that they prove is open then.</p>\n\
             <h2>Certificate</h2>\n<p>SHA-256 <code>{digest}</code></p>\n",
            end_day = self.end_day,
            zone = escaped(self.zone),
            raw = day_text(self.kept.raw_records_until),
            log = day_text(self.kept.service_log_until),
            configuration = day_text(self.kept.configuration_until),
        );
        html(&format!("End of account {}", self.uin), &body)
    }
}

fn day_text(day: Option<NaiveDate>) -> String {
    day.map_or_else(|| "a day beyond the calendar".to_owned(), |day| day.to_string())
}

impl Stated {
    fn row(&self) -> String {
        format!(
            "<tr><td>{}</td><td>{} {}</td><td><code>{}</code></td></tr>\n",
            escaped(&self.statement_id),
            escaped(&self.total),
            escaped(&self.currency),
            escaped(&self.digest)
        )
    }
}

impl From<&Statement> for Stated {
    fn from(statement: &Statement) -> Self {
        Self {
            statement_id: statement.statement_id.clone(),
            currency: statement.currency.to_string(),
            total: statement.total_text(),
            digest: statement.digest.clone(),
        }
    }
}

impl Kept {
    fn of(settings: &Settings, end_day: NaiveDate) -> Self {
        let last_day = end_day.pred_opt();
        let months = |months: u32| last_day?.checked_add_months(Months::new(months));
        Self {
            service_log_until: months(settings.keep_log_months),
            raw_records_until: months(settings.keep_raw_months),
            configuration_until: end_day.checked_add_days(Days::new(settings.keep_configuration_days.into())),
        }
    }
}

async fn decisions(books: &Books, uin: u64) -> Result<Vec<Decided>> {
    let subject = format!("account {uin}");
    let trail = audit_trail(&books.ledger).await?;
    let of_end = trail
        .into_iter()
        .filter(|entry| entry.subject == subject && matches!(entry.action.as_str(), "terminate" | "reinstate"));
    Ok(of_end
        .map(|entry| Decided {
            audit_entry: entry.entry,
            action: entry.action,
            at: entry.at,
            who: entry.who,
            reason: entry.reason,
        })
        .collect())
}

fn last_period(account: &Account, end_day: NaiveDate) -> Option<Period> {
    let last_day = end_day.pred_opt()?;
    let has_it = account.first_day.is_some_and(|first| first < end_day);
    has_it.then(|| account.period_of(last_day))
}
