-- What a PostgreSQL remote of warroom needs. Run it once, as the owner of the database:
--   psql -d DATABASE -f prepare.sql
-- It changes no object that is there already; PostgreSQL 14 or later. Then give consoles a role that may do no more than this:
--   GRANT SELECT, INSERT (name, bytes) ON warroom_objects TO warroom_console;

CREATE TABLE IF NOT EXISTS warroom_objects (
    name text COLLATE "C" PRIMARY KEY,
    bytes bytea NOT NULL,
    created timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Compressing half a megabyte of text takes longer than writing it.
ALTER TABLE warroom_objects ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE OR REPLACE FUNCTION warroom_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence is never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER warroom_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON warroom_objects
    FOR EACH STATEMENT EXECUTE FUNCTION warroom_refuse();
ALTER TABLE warroom_objects ENABLE ALWAYS TRIGGER warroom_refuse;

-- LISTEN warroom: somebody wrote.
CREATE OR REPLACE FUNCTION warroom_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('warroom', '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER warroom_announce AFTER INSERT ON warroom_objects
    FOR EACH STATEMENT EXECUTE FUNCTION warroom_announce();

-- Consoles check every byte; people with SQL want rows. Nothing in a segment may break the view for the others:
-- what cannot be read as text or JSON is null.
CREATE OR REPLACE FUNCTION warroom_text(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN others THEN
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION warroom_json(line text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN line::jsonb;
EXCEPTION WHEN others THEN
    RETURN NULL;
END $$;

CREATE OR REPLACE VIEW warroom_events WITH (security_barrier) AS
SELECT
    split_part(o.name, '/', 1) AS case_id,
    split_part(o.name, '/', 2) AS strand,
    split_part(split_part(o.name, '/', 3), '-', 1)::bigint + line.number - 2 AS seq,
    e.header ->> 'at' AS at,
    e.header ->> 'kind' AS kind,
    e.header ->> 'actor' AS actor,
    e.header,
    warroom_json(nullif(split_part(line.text, E'\t', 3), '')) AS body,
    o.name AS object,
    o.created
FROM warroom_objects o
CROSS JOIN LATERAL string_to_table(warroom_text(o.bytes), E'\n') WITH ORDINALITY AS line (text, number)
CROSS JOIN LATERAL (SELECT warroom_json(split_part(line.text, E'\t', 1)) AS header) AS e
WHERE o.name ~ '^[a-z2-7]{26}/[0-9a-f]{32}\.[0-9]{1,16}/[0-9]{12}-[0-9]{12}-[0-9a-f]{64}\.seg$'
    AND line.number > 1
    AND line.text <> '';

-- Objects whose bytes are not those that their name was made of. Nothing should ever stand here. (A view and not a
-- column: hashing on insert would cost a third of the time of a push.)
CREATE OR REPLACE VIEW warroom_damage WITH (security_barrier) AS
SELECT o.name, encode(sha256(o.bytes), 'hex') AS sha256, o.created
FROM warroom_objects o
WHERE o.name ~ '-[0-9a-f]{64}\.seg$' AND encode(sha256(o.bytes), 'hex') <> substr(o.name, length(o.name) - 67, 64);
