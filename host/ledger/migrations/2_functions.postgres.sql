-- PostgreSQL: each step of the protocol in one round trip. What it does is written in src/protocol.rs, which
-- SQLite runs statement by statement; the same tests hold both.

CREATE FUNCTION holdall_lock(in_backend text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO usage (backend, scope, name) VALUES (in_backend, 'backend', '')
    ON CONFLICT (backend, scope, name) DO UPDATE SET used = usage.used;
$$;

CREATE FUNCTION holdall_add(in_backend text, in_owner text, in_grp text, in_used bigint, in_objects bigint, in_needs bigint[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO usage AS u (backend, scope, name, used, reserved, objects)
    SELECT in_backend, it.scope, it.name, in_used, in_needs[it.place], in_objects
    FROM (VALUES (1, 'owner', in_owner), (2, 'group', in_grp), (3, 'backend', '')) AS it (place, scope, name)
    WHERE it.scope <> 'group' OR it.name <> ''
    ON CONFLICT (backend, scope, name) DO UPDATE SET used = u.used + excluded.used,
        reserved = u.reserved + excluded.reserved, objects = u.objects + excluded.objects;
$$;

CREATE FUNCTION holdall_release(gone reservation) RETURNS void LANGUAGE sql AS $$
    SELECT holdall_add(gone.backend, gone.owner, gone.grp, 0, 0,
        ARRAY[-gone.need_owner, -gone.need_group, -gone.need_backend]);
    DELETE FROM reservation WHERE id = gone.id;
$$;

-- kind: 0 of this size, 1 up to this size, 2 a delete. A limit below 0 is none. exceeded: 0; the scope that refuses; or
-- the negative scope that bounds a body of unknown length.
CREATE FUNCTION holdall_reserve(
    in_id bigint, in_holder bigint, in_backend text, in_key text, in_owner text, in_grp text, in_kind bigint,
    in_bytes bigint, in_limit_owner bigint, in_limit_group bigint, in_limit_backend bigint, in_replaces bigint,
    in_expires bigint, in_now bigint,
    OUT bytes bigint, OUT exceeded bigint, OUT used bigint, OUT reserved bigint
) LANGUAGE plpgsql AS $$
DECLARE
    scopes CONSTANT text[] := ARRAY['owner', 'group', 'backend'];
    names CONSTANT text[] := ARRAY[in_owner, in_grp, ''];
    limits CONSTANT bigint[] := ARRAY[in_limit_owner, in_limit_group, in_limit_backend];
    free bigint[] := ARRAY[9223372036854775807, 9223372036854775807, 9223372036854775807];
    credits bigint[] := ARRAY[0, 0, 0];
    useds bigint[] := ARRAY[0, 0, 0];
    reserveds bigint[] := ARRAY[0, 0, 0];
    needs bigint[] := ARRAY[0, 0, 0];
    narrowest int := 1;
    gone reservation;
    was object;
BEGIN
    PERFORM holdall_lock(in_backend);
    FOR gone IN SELECT * FROM reservation it WHERE it.backend = in_backend
        AND ((it.expires > 0 AND it.expires <= in_now) OR (it.id = in_replaces AND it.key = in_key))
    LOOP
        PERFORM holdall_release(gone);
    END LOOP;
    IF NOT EXISTS (SELECT 1 FROM reservation it WHERE it.backend = in_backend AND it.key = in_key) THEN
        SELECT * INTO was FROM object it WHERE it.backend = in_backend AND it.key = in_key;
    END IF;
    FOR i IN 1..3 LOOP
        CONTINUE WHEN i = 2 AND in_grp = '';
        SELECT it.used, it.reserved INTO used, reserved FROM usage it
        WHERE it.backend = in_backend AND it.scope = scopes[i] AND it.name = names[i];
        useds[i] := coalesce(used, 0);
        reserveds[i] := coalesce(reserved, 0);
        IF was.key IS NOT NULL
            AND (i = 3 OR (i = 1 AND was.owner = in_owner) OR (i = 2 AND was.grp = in_grp)) THEN
            credits[i] := was.size;
        END IF;
        IF limits[i] >= 0 THEN
            free[i] := limits[i] - useds[i] - reserveds[i] + credits[i];
        END IF;
        IF free[i] < free[narrowest] THEN
            narrowest := i;
        END IF;
    END LOOP;
    exceeded := 0;
    bytes := CASE in_kind WHEN 0 THEN in_bytes
        WHEN 1 THEN greatest(least(in_bytes, free[narrowest]), 0) ELSE 0 END;
    FOR i IN 1..3 LOOP
        needs[i] := greatest(bytes - credits[i], 0);
        IF exceeded = 0 AND needs[i] > 0 AND bytes > free[i] THEN
            exceeded := i;
        END IF;
    END LOOP;
    IF exceeded = 0 AND in_kind = 1 AND bytes < in_bytes THEN
        exceeded := -narrowest;
    END IF;
    used := useds[greatest(abs(exceeded), 1)];
    reserved := reserveds[greatest(abs(exceeded), 1)];
    IF exceeded > 0 THEN
        RETURN;
    END IF;
    PERFORM holdall_add(in_backend, in_owner, in_grp, 0, 0, needs);
    INSERT INTO reservation (id, holder, backend, key, owner, grp, bytes, deletes, need_owner, need_group,
        need_backend, expires)
    VALUES (in_id, in_holder, in_backend, in_key, in_owner, in_grp, bytes, (in_kind = 2)::int, needs[1], needs[2],
        needs[3], in_expires);
END;
$$;

-- in_id 0 corrects a row. in_stored below 0: there is no object. in_looked_up below 0: not looked up. Returns -1 when it
-- is done, else the number of settlements of others.
CREATE FUNCTION holdall_settle(
    in_id bigint, in_backend text, in_key text, in_stored bigint, in_done bigint, in_looked_up bigint, in_now bigint,
    in_default text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    mine reservation;
    was object;
    writers boolean;
    contested bigint := 0;
    payer text;
    payer_grp text;
BEGIN
    PERFORM holdall_lock(in_backend);
    SELECT * INTO mine FROM reservation it WHERE it.id = in_id AND it.backend = in_backend AND it.key = in_key;
    IF in_id <> 0 AND mine.id IS NULL AND in_done = 0 THEN
        RETURN -1;
    END IF;
    contested := coalesce(mine.contested, 0);
    writers := EXISTS (SELECT 1 FROM reservation it WHERE it.backend = in_backend AND it.key = in_key
        AND it.id <> in_id AND it.expires = 0);
    IF in_looked_up < 0 THEN
        IF contested <> 0 OR writers THEN RETURN contested; END IF;
    ELSIF mine.id IS NULL THEN
        IF writers THEN RETURN contested; END IF;
    ELSIF in_looked_up <> contested THEN
        RETURN contested;
    END IF;
    IF mine.id IS NOT NULL AND mine.expires <> 0 THEN
        IF mine.expires <= in_now THEN
            PERFORM holdall_release(mine);
        END IF;
        RETURN -1;
    END IF;
    DELETE FROM object it WHERE it.backend = in_backend AND it.key = in_key RETURNING * INTO was;
    IF was.key IS NOT NULL THEN
        PERFORM holdall_add(in_backend, was.owner, was.grp, -was.size, -1, ARRAY[0, 0, 0]::bigint[]);
    END IF;
    IF in_stored >= 0 THEN
        payer := in_default;
        payer_grp := '';
        IF mine.id IS NOT NULL AND mine.deletes = 0
            AND (in_done <> 0 OR was.key IS NULL OR was.size <> in_stored) THEN
            payer := mine.owner;
            payer_grp := mine.grp;
        ELSIF was.key IS NOT NULL THEN
            payer := was.owner;
            payer_grp := was.grp;
        ELSIF mine.id IS NOT NULL THEN
            payer := mine.owner;
            payer_grp := mine.grp;
        END IF;
        INSERT INTO object (backend, key, size, owner, grp) VALUES (in_backend, in_key, in_stored, payer, payer_grp);
        PERFORM holdall_add(in_backend, payer, payer_grp, in_stored, 1, ARRAY[0, 0, 0]::bigint[]);
    END IF;
    IF mine.id IS NOT NULL THEN
        PERFORM holdall_release(mine);
    END IF;
    PERFORM holdall_add(in_backend, it.owner, it.grp, 0, 0, ARRAY[greatest(it.bytes - it.need_owner, 0),
        greatest(it.bytes - it.need_group, 0), greatest(it.bytes - it.need_backend, 0)])
    FROM reservation it WHERE it.backend = in_backend AND it.key = in_key;
    UPDATE reservation it SET contested = it.contested + 1, need_owner = greatest(it.need_owner, it.bytes),
        need_group = greatest(it.need_group, it.bytes), need_backend = greatest(it.need_backend, it.bytes)
    WHERE it.backend = in_backend AND it.key = in_key;
    RETURN -1;
END;
$$;
