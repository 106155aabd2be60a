-- What people and administrators do, and how logins end. A record is written in the transaction of the change, and
-- never changed. It holds ids, not names: those of people are deleted with their account. id is a UUIDv7, count is how
-- often it was done if one record stands for several, and details is a JSON object of texts.
CREATE TABLE audit_records (
    id           {{text}} PRIMARY KEY,
    at           BIGINT   NOT NULL,
    event        {{text}} NOT NULL,
    outcome      {{text}} NOT NULL,
    actor_kind   {{text}} NOT NULL,
    actor_id     {{text}} NOT NULL,
    subject_kind {{text}} NOT NULL,
    subject_id   {{text}} NOT NULL,
    address      {{text}} NOT NULL,
    client_id    {{text}} NOT NULL,
    request_id   {{text}} NOT NULL,
    count        BIGINT   NOT NULL,
    details      {{text}} NOT NULL
);

CREATE INDEX audit_records_by_event ON audit_records (event, id, at, count);
CREATE INDEX audit_records_by_subject ON audit_records (subject_id, id);
CREATE INDEX audit_records_by_actor ON audit_records (actor_id, id);
CREATE INDEX audit_records_by_address ON audit_records (address, id) WHERE address <> '';
CREATE INDEX audit_records_by_client ON audit_records (client_id, id) WHERE client_id <> '';

-- The records that are not in the chain yet, in order of their ids. A transaction that commits late leaves its id here
-- however far the chain has come.
CREATE TABLE audit_queue (
    id {{text}} PRIMARY KEY
);

-- The place of each record in the chain. Of two servers that add the same number, one does. hash is the SHA-256 of the
-- hash before it and the record.
CREATE TABLE audit_chain (
    number BIGINT   PRIMARY KEY,
    record {{text}} NOT NULL UNIQUE,
    hash   {{text}} NOT NULL
);

CREATE INDEX audit_chain_by_hash ON audit_chain (hash);

-- Where the chain was cut: the records up to this number are dropped because they are old, and their last hash stays.
CREATE TABLE audit_cuts (
    number BIGINT   PRIMARY KEY,
    hash   {{text}} NOT NULL,
    cut_at BIGINT   NOT NULL
);

-- What the random ids of records stand for that would otherwise have to hold the address of a person, such as that of
-- an invitation. A row is deleted with the account.
CREATE TABLE audit_names (
    name {{text}} PRIMARY KEY,
    id   {{text}} NOT NULL UNIQUE
);

-- Nobody changes a record, a link of the chain or a cut, and nobody deletes what is not before a cut. On PostgreSQL, the
-- servers need not have the privileges either: see audit_cut and audit_drop. REPLACE in SQLite deletes without a
-- trigger, so a row must not take the place of another. The chain only grows at its end: a link before a cut would let
-- its record be dropped. Only a copy of the database begins it elsewhere.
{{sqlite}}CREATE TRIGGER audit_records_are_new BEFORE INSERT ON audit_records
{{sqlite}}WHEN EXISTS (SELECT 1 FROM audit_records WHERE id = NEW.id)
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit records cannot be replaced'); END;
{{sqlite}}CREATE TRIGGER audit_records_stay BEFORE UPDATE ON audit_records
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit records cannot be changed'); END;
{{sqlite}}CREATE TRIGGER audit_records_are_kept BEFORE DELETE ON audit_records
{{sqlite}}WHEN NOT EXISTS (SELECT 1 FROM audit_chain WHERE record = OLD.id
{{sqlite}}  AND number <= (SELECT MAX(number) FROM audit_cuts))
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit records cannot be deleted'); END;
{{sqlite}}CREATE TRIGGER audit_chain_is_new BEFORE INSERT ON audit_chain
{{sqlite}}WHEN EXISTS (SELECT 1 FROM audit_chain WHERE number = NEW.number OR record = NEW.record)
{{sqlite}}BEGIN SELECT RAISE(IGNORE); END;
{{sqlite}}CREATE TRIGGER audit_chain_continues BEFORE INSERT ON audit_chain
{{sqlite}}WHEN NEW.number < 1 OR NEW.number <= (SELECT MAX(number) FROM audit_cuts)
{{sqlite}}  OR NEW.number > 1 + (SELECT MAX(number) FROM audit_chain)
{{sqlite}}  AND NEW.number > 1 + COALESCE((SELECT MAX(number) FROM audit_cuts), 0)
{{sqlite}}BEGIN SELECT RAISE(IGNORE); END;
{{sqlite}}CREATE TRIGGER audit_chain_stays BEFORE UPDATE ON audit_chain
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'the audit chain cannot be changed'); END;
{{sqlite}}CREATE TRIGGER audit_chain_is_kept BEFORE DELETE ON audit_chain
{{sqlite}}WHEN NOT EXISTS (SELECT 1 FROM audit_cuts WHERE number >= OLD.number)
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'the audit chain cannot be deleted'); END;
{{sqlite}}CREATE TRIGGER audit_cuts_are_new BEFORE INSERT ON audit_cuts
{{sqlite}}WHEN EXISTS (SELECT 1 FROM audit_cuts WHERE number = NEW.number)
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit cuts cannot be replaced'); END;
{{sqlite}}CREATE TRIGGER audit_cuts_stay BEFORE UPDATE ON audit_cuts
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit cuts cannot be changed'); END;
{{sqlite}}CREATE TRIGGER audit_cuts_are_kept BEFORE DELETE ON audit_cuts
{{sqlite}}BEGIN SELECT RAISE(ABORT, 'audit cuts cannot be deleted'); END;

{{postgresql}}CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
{{postgresql}}BEGIN RAISE EXCEPTION 'the audit log cannot be changed: % of %', TG_OP, TG_TABLE_NAME; END $$;
{{postgresql}}CREATE FUNCTION audit_check_delete() RETURNS trigger LANGUAGE plpgsql AS $$
{{postgresql}}BEGIN
{{postgresql}}  IF TG_TABLE_NAME = 'audit_chain' THEN
{{postgresql}}    IF EXISTS (SELECT 1 FROM audit_cuts WHERE number >= OLD.number) THEN RETURN OLD; END IF;
{{postgresql}}  ELSIF EXISTS (SELECT 1 FROM audit_chain WHERE record = OLD.id
{{postgresql}}    AND number <= (SELECT MAX(number) FROM audit_cuts)) THEN RETURN OLD;
{{postgresql}}  END IF;
{{postgresql}}  RAISE EXCEPTION 'the audit log cannot be changed: % of %', TG_OP, TG_TABLE_NAME;
{{postgresql}}END $$;
{{postgresql}}CREATE FUNCTION audit_continue() RETURNS trigger LANGUAGE plpgsql AS $$
{{postgresql}}DECLARE cut BIGINT := COALESCE((SELECT MAX(number) FROM audit_cuts), 0);
{{postgresql}}  last BIGINT := (SELECT MAX(number) FROM audit_chain);
{{postgresql}}BEGIN
{{postgresql}}  IF NEW.number <= cut OR NEW.number > 1 + last AND NEW.number > 1 + cut THEN RETURN NULL; END IF;
{{postgresql}}  RETURN NEW;
{{postgresql}}END $$;
{{postgresql}}CREATE TRIGGER audit_chain_continues BEFORE INSERT ON audit_chain
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_continue();
{{postgresql}}CREATE TRIGGER audit_records_stay BEFORE UPDATE ON audit_records
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
{{postgresql}}CREATE TRIGGER audit_records_are_kept BEFORE DELETE ON audit_records
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_check_delete();
{{postgresql}}CREATE TRIGGER audit_records_are_not_emptied BEFORE TRUNCATE ON audit_records
{{postgresql}}  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
{{postgresql}}CREATE TRIGGER audit_chain_stays BEFORE UPDATE ON audit_chain
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
{{postgresql}}CREATE TRIGGER audit_chain_is_kept BEFORE DELETE ON audit_chain
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_check_delete();
{{postgresql}}CREATE TRIGGER audit_chain_is_not_emptied BEFORE TRUNCATE ON audit_chain
{{postgresql}}  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
{{postgresql}}CREATE TRIGGER audit_cuts_stay BEFORE UPDATE OR DELETE ON audit_cuts
{{postgresql}}  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
{{postgresql}}CREATE TRIGGER audit_cuts_are_not_emptied BEFORE TRUNCATE ON audit_cuts
{{postgresql}}  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- With a role of their own, servers cut and drop by these functions, which run with the rights of the owner. They drop
-- no record that is younger than 30 days by the clock of the database.
{{postgresql}}CREATE FUNCTION audit_cut(upto BIGINT) RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER AS $$
{{postgresql}}DECLARE n BIGINT; today BIGINT := EXTRACT(EPOCH FROM now());
{{postgresql}}BEGIN
{{postgresql}}  IF EXISTS (SELECT 1 FROM audit_chain JOIN audit_records ON audit_records.id = audit_chain.record
{{postgresql}}    WHERE audit_chain.number <= upto AND audit_records.at > today - 2592000) THEN
{{postgresql}}    RAISE EXCEPTION 'audit records that are younger than 30 days cannot be dropped';
{{postgresql}}  END IF;
{{postgresql}}  INSERT INTO audit_cuts (number, hash, cut_at)
{{postgresql}}    SELECT number, hash, today FROM audit_chain WHERE number = upto ON CONFLICT DO NOTHING;
{{postgresql}}  GET DIAGNOSTICS n = ROW_COUNT;
{{postgresql}}  RETURN n;
{{postgresql}}END $$;
{{postgresql}}CREATE FUNCTION audit_drop(most BIGINT) RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER AS $$
{{postgresql}}DECLARE n BIGINT; upto BIGINT;
{{postgresql}}BEGIN
{{postgresql}}  SELECT MAX(number) INTO upto FROM (SELECT number FROM audit_chain
{{postgresql}}    WHERE number <= (SELECT MAX(number) FROM audit_cuts) ORDER BY number LIMIT most) AS oldest;
{{postgresql}}  DELETE FROM audit_records WHERE id IN (SELECT record FROM audit_chain WHERE number <= upto);
{{postgresql}}  DELETE FROM audit_chain WHERE number <= upto;
{{postgresql}}  GET DIAGNOSTICS n = ROW_COUNT;
{{postgresql}}  RETURN n;
{{postgresql}}END $$;
{{postgresql}}DO $$ BEGIN
{{postgresql}}  EXECUTE format('ALTER FUNCTION audit_cut(BIGINT) SET search_path = %I, pg_temp', current_schema());
{{postgresql}}  EXECUTE format('ALTER FUNCTION audit_continue() SET search_path = %I, pg_temp', current_schema());
{{postgresql}}  EXECUTE format('ALTER FUNCTION audit_drop(BIGINT) SET search_path = %I, pg_temp', current_schema());
{{postgresql}}END $$;
{{postgresql}}REVOKE EXECUTE ON FUNCTION audit_cut(BIGINT), audit_drop(BIGINT) FROM PUBLIC;
