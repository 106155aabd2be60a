-- A refresh changes a grant, and a login the user. PostgreSQL writes no index then if the page has room for the new row.
-- Vacuum starts when a 50th of the rows is dead: by default it is a fifth, 20 million of 100 million grants.
{{postgresql}}ALTER TABLE grants SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
{{postgresql}}ALTER TABLE users SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);
