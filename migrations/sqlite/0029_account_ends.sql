-- Ends of accounts: each is a decision of the audit trail, and so is its being taken back.

-- A period ends on `end_day` and another begins there, also where the end was taken back. While it was not, usage of that day and later
-- is refused.
CREATE TABLE account_end (
    entry      INTEGER NOT NULL PRIMARY KEY, -- of the audit trail
    uin        TEXT NOT NULL REFERENCES account (uin),
    end_day    TEXT NOT NULL, -- the first day that is not billed, in the account's time zone
    ends_at    TEXT NOT NULL, -- the instant at which that day begins, RFC 3339 in UTC: what comes in has no zone of the account
    reinstated INTEGER,       -- the entry that took it back; none while the account has ended
    seal       INTEGER NOT NULL
);
CREATE INDEX account_end_uin ON account_end (uin);

-- Accounts that ended, also those whose last day is still to come.
CREATE VIEW dash_ended_accounts AS SELECT uin, end_day AS ended_on FROM account_end WHERE reinstated IS NULL;
