/**
 * The statements of PostgreSQL that run for each job, as functions. A function keeps its plan, where a statement is
 * planned each time, which takes longer than to write a row or two; and it can carry planner settings without a
 * transaction of its own. With statistics absent or from a quieter hour the planner would sort the backlog for each
 * claim, scan the table for what it has a key to, and compile what takes a millisecond; and left to itself it would go on
 * planning for each call what it thinks the actual values make cheaper.
 */
import { largeClaim, leastRead } from "./claimOrder.js"
import { qualified } from "./db.js"
import { inserted } from "./row.js"
import { settlement } from "./settlement.js"

/** What a function is told the time is, or the store's own. */
const present = (told: string) => `DECLARE
  present bigint := coalesce(${told}, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);`

const planned = "SET enable_seqscan = off SET enable_sort = off SET jit = off SET plan_cache_mode = force_generic_plan"

/**
 * Makes the best of the ready jobs running. The index has an order for each queue and name, so what waits for other
 * workers, or in a queue that is paused, is hopped over. Several orders are merged by reading some of each, more of those
 * that end before the last of the best. Nothing is locked but what is claimed, or rivals would find nothing where there
 * is enough; what rivals took meanwhile is made up for by whatever is next.
 *
 * Where no more wait than are wanted, all of them are looked at, and no order is.
 *
 * Of one order, that of `from_queue` and `from_name`, the caller may say up to where it has claimed already. It is taken
 * to wait there, unseen. When there is not enough, that is forgotten.
 */
const claim = (schema: string | undefined): string => {
  const jobs = qualified("dbjobq_jobs", schema)
  // ~ turns the order of the numbers around, so that a place is after another when its row is greater
  const place = (table: string) => `~${table}.priority, ${table}.run_at, ${table}.id`
  const ready = (columns: string) => `SELECT ${columns} FROM ${jobs} AS j
          WHERE j.state = 'pending' AND j.queue = p.queue AND j.name = p.name AND (${place("j")}) >= (p.turned, p.run_at, p.id)
          ORDER BY ${place("j")}`
  const next = (rest: string) => `(SELECT j.queue, j.name, ${place("j")} FROM ${jobs} AS j
        WHERE j.state = 'pending' AND (j.queue, j.name) > (w.queue, w.name)${rest}
        ORDER BY j.queue, j.name, ${place("j")} LIMIT 1)`
  const open = (table: string) => `($3 IS NULL OR ${table}.queue = ANY($3))
      AND ($4 IS NULL OR NOT (${table}.queue = ANY($4)))
      AND ${table}.queue NOT IN (SELECT q.queue FROM ${qualified("dbjobq_queues", schema)} AS q WHERE q.paused)`
  // What is locked stays where it is, so it is found again by its place and not by its key. That is a statement of its
  // own, which sees what was committed up to the lock.
  const take = (places: string) => `picked := ARRAY(
      ${places}
    );
    RETURN QUERY UPDATE ${jobs} AS c SET
      state = 'running', attempt = c.attempt + 1, token = c.token + 1, owner = $6, lease_until = present + $7,
      started_at = present, progress = NULL, progress_message = NULL
    WHERE c.ctid = ANY(picked)
    RETURNING c.id, c.name, c.queue, c.priority, c.payload, c.run_at::float8, c.attempt, c.max_attempts, c.token::float8,
      c.traceparent, c.schedule_id, c.slot::float8, c.enqueued_at::float8;
    GET DIAGNOSTICS got = ROW_COUNT;
    wanted := wanted - got;`
  return `CREATE OR REPLACE FUNCTION ${qualified("dbjobq_claim", schema)}(
  at bigint, names text[], queues text[], except_queues text[], max_rows integer, claimer text, lease bigint,
  from_queue text, from_name text, from_priority integer, from_run_at bigint, from_id text
) RETURNS TABLE (
  id text, name text, queue text, priority integer, payload text, "runAt" float8, attempt integer,
  "maxAttempts" integer, token float8, traceparent text, "scheduleId" text, slot float8, "enqueuedAt" float8
) LANGUAGE plpgsql VOLATILE ${planned} AS $dbjobq$
#variable_conflict use_column
${present("$1")}
  wanted integer := $5;
  in_queue text[];
  of_name text[];
  turned integer[];
  due bigint[];
  first text[];
  orders integer;
  reach integer[];
  best text[];
  ended integer[];
  picked tid[];
  got integer;
BEGIN
  -- as many wait or fewer: all that may be claimed is, and no order has to be found
  IF from_queue IS NULL AND wanted < ${largeClaim} AND (
    -- in the index's order, or the planner may collect all that wait before it counts
    SELECT count(*) FROM (SELECT FROM ${jobs} WHERE state = 'pending' ORDER BY queue, name LIMIT wanted + 1) AS few
  ) <= wanted THEN
    ${take(`SELECT j.ctid FROM ${jobs} AS j WHERE j.state = 'pending' AND j.name = ANY($2) AND ${open("j")}
      ORDER BY ${place("j")} LIMIT wanted FOR UPDATE OF j SKIP LOCKED`)}
    RETURN;
  END IF;
  LOOP
    WITH RECURSIVE waiting (queue, name, turned, run_at, id) AS (
      SELECT '' COLLATE "C", '' COLLATE "C", 0, 0::bigint, '' COLLATE "C"
      UNION ALL
      SELECT n.* FROM waiting AS w CROSS JOIN LATERAL (
        ${next(" AND (j.queue, j.name) < (from_queue, from_name)")}
        UNION ALL
        (SELECT from_queue, from_name, ~from_priority, from_run_at, from_id WHERE (w.queue, w.name) < (from_queue, from_name))
        UNION ALL
        ${next("")}
        LIMIT 1
      ) AS n
    )
    SELECT array_agg(w.queue), array_agg(w.name), array_agg(w.turned), array_agg(w.run_at), array_agg(w.id), count(*)
    INTO in_queue, of_name, turned, due, first, orders FROM waiting AS w
    WHERE w.name = ANY($2) AND ${open("w")};
    got := 0;
    best := NULL;
    IF orders > 1 THEN
      reach := array_fill(CAST(least(2 * wanted::bigint / orders + ${leastRead}, wanted) AS integer), ARRAY[orders]);
      LOOP
        SELECT array_agg(m.id) FILTER (WHERE m.place <= wanted), array_agg(m.number) FILTER (WHERE m.ends AND m.place < wanted)
        INTO best, ended FROM (
          SELECT r.id, p.number, r.nth = p.reach AND p.reach < wanted AS ends, row_number() OVER (ORDER BY ${place("r")}) AS place
          FROM unnest(in_queue, of_name, turned, due, first, reach) WITH ORDINALITY
            AS p (queue, name, turned, run_at, id, reach, number) CROSS JOIN LATERAL (
            SELECT l.id, l.priority, l.run_at, row_number() OVER () AS nth FROM (
              ${ready("j.id, j.priority, j.run_at")} LIMIT p.reach
            ) AS l
          ) AS r
        ) AS m;
        EXIT WHEN ended IS NULL;
        FOR n IN 1 .. cardinality(ended) LOOP
          reach[ended[n]] := least(8 * reach[ended[n]]::bigint, wanted);
        END LOOP;
      END LOOP;
      -- the state in a way that no index is for: these are few, and known by their key
      ${take(`SELECT j.ctid FROM ${jobs} AS j WHERE j.id = ANY(best) AND coalesce(j.state, '') = 'pending' FOR UPDATE OF j SKIP LOCKED`)}
    END IF;
    IF orders = 1 OR got < cardinality(best) THEN
      ${take(`SELECT o.ctid FROM unnest(in_queue, of_name, turned, due, first) AS p (queue, name, turned, run_at, id) CROSS JOIN LATERAL (
        ${ready("j.ctid")} LIMIT wanted FOR UPDATE OF j SKIP LOCKED
      ) AS o LIMIT wanted`)}
    END IF;
    EXIT WHEN wanted = 0 OR from_queue IS NULL;
    from_queue := NULL;
  END LOOP;
END
$dbjobq$`
}

/**
 * Records outcomes of jobs that are named by their ids, each once; each value is given once for all, or in an object by
 * id. Tells the channel, if any, that jobs come back. Answers NULL when all were held, else the ids of those that were;
 * of jobs that complete, which are the many, it names none then, as their rows tell.
 * There is no join: with statistics from a quieter hour the planner expects a row or none, and compares each with each.
 */
const settle = (schema: string | undefined): string => {
  const jobs = qualified("dbjobq_jobs", schema)
  const update = (of: (value: "held" | "kind" | "delay" | "body") => string) => `WITH ended AS (
      UPDATE ${jobs} SET ${settlement(of, "present")}
      WHERE id = ANY($3) AND token = ${of("held")} AND owner IS NOT NULL
      RETURNING id
    )
    SELECT array_agg(id) INTO settled FROM ended`
  const one = { held: "$4", kind: "$6", delay: "$8", body: "$10" }
  // a constant, so that the planner makes the choices
  const completed = { ...one, kind: "'complete'" }
  const byId = {
    held: "coalesce(CAST($5 ->> id AS bigint), $4)",
    kind: "coalesce($7 ->> id, $6)",
    delay: "coalesce(CAST($9 ->> id AS bigint), $8)",
    body: "coalesce($11 ->> id, $10)"
  }
  return `CREATE OR REPLACE FUNCTION ${qualified("dbjobq_settle", schema)}(
  channel text, at bigint, ids text[], held bigint, helds jsonb, kind text, kinds jsonb, delay bigint, delays jsonb,
  body text, bodies jsonb
) RETURNS text LANGUAGE plpgsql VOLATILE ${planned} AS $dbjobq$
#variable_conflict use_column
${present("$2")}
  settled text[];
  got integer;
BEGIN
  IF num_nonnulls($5, $7, $9, $11) = 0 THEN
    IF $6 = 'complete' THEN
      UPDATE ${jobs} SET ${settlement((value) => completed[value], "present")}
      WHERE id = ANY($3) AND token = $4 AND owner IS NOT NULL;
      GET DIAGNOSTICS got = ROW_COUNT;
      RETURN CASE WHEN got < cardinality($3) THEN '[]' END;
    END IF;
    ${update((value) => one[value])};
  ELSE
    ${update((value) => byId[value])};
  END IF;
  IF $1 IS NOT NULL AND settled IS NOT NULL THEN PERFORM pg_notify($1, 'jobs'); END IF;
  RETURN CASE WHEN coalesce(cardinality(settled), 0) < cardinality($3)
    THEN coalesce(CAST(array_to_json(settled) AS text), '[]') END;
END
$dbjobq$`
}

/** Makes pending what has come due, and tells when the next will. */
const promote = (schema: string | undefined): string => {
  const jobs = qualified("dbjobq_jobs", schema)
  return `CREATE OR REPLACE FUNCTION ${qualified("dbjobq_promote", schema)}(at bigint, max_rows integer)
RETURNS TABLE (promoted integer, "nextIn" float8) LANGUAGE plpgsql VOLATILE ${planned} AS $dbjobq$
#variable_conflict use_column
${present("$1")}
BEGIN
  UPDATE ${jobs} SET state = 'pending' WHERE id = ANY(ARRAY(
    SELECT id FROM ${jobs} WHERE state = 'scheduled' AND run_at <= present ORDER BY run_at LIMIT $2 FOR UPDATE SKIP LOCKED
  ));
  GET DIAGNOSTICS promoted = ROW_COUNT;
  "nextIn" := (SELECT greatest(run_at - present, 0) FROM ${jobs} WHERE state = 'scheduled' ORDER BY run_at LIMIT 1);
  RETURN NEXT;
END
$dbjobq$`
}

/** What there is for workers to do, now or later; reads one entry of each index. */
const look = (schema: string | undefined): string => {
  const jobs = qualified("dbjobq_jobs", schema)
  return `CREATE OR REPLACE FUNCTION ${qualified("dbjobq_look", schema)}(at bigint)
RETURNS TABLE (pending boolean, due float8, now float8) LANGUAGE plpgsql STABLE ${planned} AS $dbjobq$
${present("$1")}
BEGIN
  -- by the column, not by the number it is given out as, which no index knows
  RETURN QUERY SELECT EXISTS (SELECT 1 FROM ${jobs} WHERE state = 'pending'),
    (SELECT j.run_at::float8 FROM ${jobs} AS j WHERE j.state = 'scheduled' ORDER BY j.run_at LIMIT 1), present::float8;
END
$dbjobq$`
}

/** Jobs, and the wake-up for them. Answers NULL when all are new, else the ids of those that are. */
const insert = (schema: string | undefined): string =>
  `CREATE OR REPLACE FUNCTION ${qualified("dbjobq_insert", schema)}(channel text, at bigint, jobs json)
RETURNS text LANGUAGE plpgsql VOLATILE AS $dbjobq$
#variable_conflict use_column
${present("$2")}
  made text[];
BEGIN
  WITH written AS (
    INSERT INTO ${qualified("dbjobq_jobs", schema)} (${inserted})
    SELECT j.id, j.name, j.queue,
      CASE WHEN coalesce(j.run_at, present + j.delay) <= present THEN 'pending' ELSE 'scheduled' END,
      j.priority, j.payload, coalesce(j.run_at, present + j.delay), j.max_attempts, j.unique_key, j.tags, j.traceparent,
      j.schedule_id, j.slot, present
    FROM json_to_recordset($3) AS j (
      id text, name text, queue text, priority integer, payload text, run_at bigint, delay bigint, max_attempts integer,
      unique_key text, tags text, traceparent text, schedule_id text, slot bigint
    )
    ON CONFLICT DO NOTHING
    RETURNING id
  )
  SELECT array_agg(id) INTO made FROM written;
  IF made IS NOT NULL THEN PERFORM pg_notify($1, 'jobs'); END IF;
  RETURN CASE WHEN coalesce(array_length(made, 1), 0) < json_array_length($3)
    THEN coalesce(CAST(array_to_json(made) AS text), '[]') END;
END
$dbjobq$`

export const pgFunctions = (schema: string | undefined): ReadonlyArray<string> => [
  claim(schema),
  promote(schema),
  look(schema),
  settle(schema),
  insert(schema)
]
