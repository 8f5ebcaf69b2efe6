-- Who an account is to people: its name, the contact for its bills, the number of its contract, and labels. Nothing of it has an effect on
-- what is billed.

-- A version holds until the next one, and never changes. An erasure deletes all of an account.
CREATE TABLE account_profile (
    uin      TEXT COLLATE "C" NOT NULL REFERENCES account (uin),
    version  BIGINT NOT NULL, -- from 1
    set_at   TEXT COLLATE "C" NOT NULL, -- RFC 3339
    name     TEXT,
    contact  TEXT, -- to whom bills go
    contract TEXT, -- the number of the contract
    seal     BIGINT NOT NULL,
    PRIMARY KEY (uin, version)
);

-- The labels of a version, all of them.
CREATE TABLE account_label (
    uin     TEXT COLLATE "C" NOT NULL REFERENCES account (uin),
    version BIGINT NOT NULL,
    label   TEXT COLLATE "C" NOT NULL,
    value   TEXT NOT NULL,
    seal    BIGINT NOT NULL,
    PRIMARY KEY (uin, version, label)
);

-- Every account with its name. The contact is a person, and stands in no view.
CREATE VIEW dash_accounts AS
SELECT a.uin, p.name, p.contract, CAST(a.first_day AS DATE) AS first_day, CAST(e.end_day AS DATE) AS ended_on FROM account a
LEFT JOIN account_profile p ON p.uin = a.uin AND p.version = (SELECT MAX(q.version) FROM account_profile q WHERE q.uin = a.uin)
LEFT JOIN account_end e ON e.uin = a.uin AND e.reinstated IS NULL;

-- A row for each label of an account.
CREATE VIEW dash_account_labels AS
SELECT l.uin, l.label, l.value FROM account_label l
WHERE l.version = (SELECT MAX(q.version) FROM account_profile q WHERE q.uin = l.uin);
