-- Ends of accounts: each is a decision of the audit trail, and so is its being taken back.

-- A period ends on `end_day` and another begins there, also where the end was taken back. While it was not, usage of that day and later
-- is refused.
CREATE TABLE account_end (
    entry      BIGINT NOT NULL PRIMARY KEY, -- of the audit trail
    uin        VARCHAR(20) NOT NULL,
    end_day    VARCHAR(10) NOT NULL, -- the first day that is not billed, in the account's time zone
    ends_at    VARCHAR(40) NOT NULL, -- the instant at which that day begins, RFC 3339 in UTC: what comes in has no zone of the account
    reinstated BIGINT,       -- the entry that took it back; none while the account has ended
    seal       BIGINT NOT NULL,
    FOREIGN KEY (uin) REFERENCES account (uin)
) CHARACTER SET utf8mb4 /*!80000 COLLATE utf8mb4_0900_bin */ /*M!100000 COLLATE utf8mb4_nopad_bin */;
CREATE INDEX account_end_uin ON account_end (uin);

-- Accounts that ended, also those whose last day is still to come.
CREATE VIEW dash_ended_accounts AS SELECT uin, CAST(end_day AS DATE) AS ended_on FROM account_end WHERE reinstated IS NULL;
