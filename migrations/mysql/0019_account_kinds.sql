-- What accounts are alike is counted when somebody asks (`status`), and not kept in a table that three kinds of transactions had to put
-- anew.
DROP TABLE account_kind;
DELETE FROM tally WHERE name = 'account_kind';
