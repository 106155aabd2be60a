-- Whether an administrator has changed a client that no administrator has registered. It is not deleted when it is
-- unused, since what the administrator requires of it would be lost. Servers of the previous version know nothing of
-- it: they do not change the value, but they also delete clients that are kept, when these are unused.
ALTER TABLE clients ADD COLUMN kept BIGINT NOT NULL DEFAULT 0 CHECK (kept IN (0, 1));

CREATE INDEX clients_unkept ON clients (source, last_used_at) WHERE source <> '' AND kept = 0;

-- Clients that an administrator has changed before, as far as the audit log goes back. A client that has registered
-- itself is the actor of its own changes.
UPDATE clients SET kept = 1 WHERE source <> '' AND EXISTS (SELECT 1 FROM audit_records
    WHERE subject_id = clients.id AND subject_kind = 'client' AND event = 'client_changed'
    AND actor_id <> clients.id AND at >= clients.created_at);
