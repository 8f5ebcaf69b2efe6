-- Dashboards read both as TEXT, as the documents say and the other dialects have it. A position is some hundred bytes, and a message is cut
-- at 4,000 characters.
ALTER TABLE source_position MODIFY position TEXT;
ALTER TABLE source_pull MODIFY message TEXT;
