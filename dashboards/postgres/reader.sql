-- A role for dashboards on PostgreSQL: it can read the views `dash_*` and nothing else, as the views run with their owner's rights.
-- For a ledger in the schema `public` of the database `tallybook`; write other names here where yours differ, and a password of
-- your own. Run it in the ledger's database as the owner of its tables (who needs CREATEROLE) or as a superuser.

CREATE ROLE tallybook_reader LOGIN PASSWORD 'CHANGE-ME' CONNECTION LIMIT 20;

-- What it cannot do anyway, and a limit for a query that somebody got wrong.
ALTER ROLE tallybook_reader SET default_transaction_read_only = on;
ALTER ROLE tallybook_reader SET statement_timeout = '60s';

-- A tool that rounds a date to its month makes an instant of it, in the session's zone: east of UTC each month would be labelled as the
-- one before.
ALTER ROLE tallybook_reader SET timezone = 'UTC';

-- By default everybody may make temporary tables, and before PostgreSQL 15 also tables in `public`. tallybook needs neither.
REVOKE TEMPORARY ON DATABASE tallybook FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT CONNECT ON DATABASE tallybook TO tallybook_reader;
GRANT USAGE ON SCHEMA public TO tallybook_reader;
GRANT SELECT ON
    public.dash_usage,
    public.dash_usage_by_sku,
    public.dash_totals,
    public.dash_charges,
    public.dash_top_accounts,
    public.dash_lines,
    public.dash_runs,
    public.dash_held_days,
    public.dash_accounts, public.dash_account_labels, public.dash_ended_accounts,
    public.dash_blocked,
    public.dash_quarantine,
    public.dash_conflicts,
    public.dash_alarms,
    public.dash_sources,
    public.dash_control_totals,
    public.dash_control_days
    TO tallybook_reader;
