-- A user for dashboards on MySQL or MariaDB: it can read the views `dash_*` and nothing else, as the views run with the rights of the
-- user that made them. For a ledger in the database `tallybook`; write another name here where yours differs, a password of your
-- own, and the host that the dashboards come from instead of `%`. Run it as a user with CREATE USER and GRANT OPTION, such as root.
-- Do not drop the user that made the ledger's tables: its views would answer no more.

-- A query that somebody got wrong ends after 60 s on MariaDB. MySQL 8 has no such limit for a user: set `max_execution_time` (in
-- milliseconds) in the connection of the dashboards, or for the server.
CREATE USER 'tallybook_reader'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20 /*M! MAX_STATEMENT_TIME 60 */;

-- SHOW VIEW shows the text of a view and no row: business intelligence tools read its columns by SHOW CREATE TABLE.
GRANT SELECT, SHOW VIEW ON tallybook.dash_usage TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_usage_by_sku TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_totals TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_charges TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_top_accounts TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_lines TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_runs TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_held_days TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_ended_accounts TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_accounts TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_account_labels TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_blocked TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_quarantine TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_sources TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_alarms TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_conflicts TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_control_totals TO 'tallybook_reader'@'%';
GRANT SELECT, SHOW VIEW ON tallybook.dash_control_days TO 'tallybook_reader'@'%';
