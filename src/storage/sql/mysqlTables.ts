/**
 * The tables on MySQL and MariaDB, each with its indexes in one statement, as a DDL statement cannot be rolled back. The
 * ready index ends with the queue, so that jobs of queues that are not open are passed over by the index alone; it has the
 * 3,072 bytes that an index may have.
 * There are no partial indexes: an index on a generated column that is NULL for all other rows stands for one, so that a
 * row which changes its state touches few of them.
 */
import { binary, hash } from "./mysql.js"

const key = `varchar(255) ${binary}`
const text = `longtext ${binary}`

export const createMysql: ReadonlyArray<string> = [
  `CREATE TABLE IF NOT EXISTS dbjobq_jobs (
  id ${key} NOT NULL PRIMARY KEY,
  name ${key} NOT NULL,
  queue ${key} NOT NULL,
  state enum('scheduled', 'pending', 'running', 'completed', 'failed', 'cancelled')
    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  priority integer NOT NULL,
  payload ${text} NOT NULL,
  run_at bigint NOT NULL,
  attempt integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL,
  crashes integer NOT NULL DEFAULT 0,
  generation integer NOT NULL DEFAULT 1,
  token bigint NOT NULL DEFAULT 0,
  owner ${key},
  lease_until bigint,
  cancel_requested boolean NOT NULL DEFAULT FALSE,
  unique_key varchar(1000) ${binary},
  tags ${text} NOT NULL,
  result ${text},
  failure ${text},
  progress double,
  progress_message ${text},
  traceparent ${key},
  schedule_id ${key},
  slot bigint,
  enqueued_at bigint NOT NULL,
  started_at bigint,
  finished_at bigint,
  ready_name ${key} GENERATED ALWAYS AS (CASE WHEN state = 'pending' THEN name END) STORED,
  due_at bigint GENERATED ALWAYS AS (CASE WHEN state = 'scheduled' THEN run_at END) STORED,
  finished_state enum('completed', 'failed', 'cancelled') CHARACTER SET ascii COLLATE ascii_bin
    GENERATED ALWAYS AS (CASE WHEN state IN ('completed', 'failed', 'cancelled') THEN state END) STORED,
  active_key binary(32) GENERATED ALWAYS AS (
    CASE WHEN unique_key IS NOT NULL AND state IN ('scheduled', 'pending', 'running')
      THEN ${hash("name", "unique_key")} END
  ) STORED,
  UNIQUE KEY dbjobq_jobs_unique (active_key),
  KEY dbjobq_jobs_ready (ready_name, priority DESC, run_at, id, queue),
  KEY dbjobq_jobs_due (due_at),
  KEY dbjobq_jobs_lease (lease_until),
  KEY dbjobq_jobs_finished (finished_state, finished_at)
) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS dbjobq_queues (
  queue ${key} NOT NULL PRIMARY KEY,
  paused boolean NOT NULL DEFAULT FALSE
) ENGINE = InnoDB`,
  // the row that a claim locks when no queue was ever paused; no queue is named so
  "INSERT INTO dbjobq_queues (queue) VALUES ('') ON DUPLICATE KEY UPDATE queue = queue",
  `CREATE TABLE IF NOT EXISTS dbjobq_schedules (
  id ${key} NOT NULL PRIMARY KEY,
  job ${key} NOT NULL,
  queue ${key} NOT NULL,
  priority integer NOT NULL,
  payload ${text} NOT NULL,
  max_attempts integer NOT NULL,
  unique_key varchar(1000) ${binary},
  recurrence ${text} NOT NULL,
  missed integer NOT NULL,
  overlap enum('allow', 'skip') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  jitter bigint NOT NULL,
  enabled boolean NOT NULL DEFAULT TRUE,
  disabled_reason ${text},
  version bigint NOT NULL DEFAULT 1,
  next_slot bigint,
  last_slot bigint,
  last_job ${key},
  last_fired_at bigint,
  fired bigint NOT NULL DEFAULT 0,
  skipped bigint NOT NULL DEFAULT 0,
  last_skip_reason enum('missed', 'overlap', 'duplicate') CHARACTER SET ascii COLLATE ascii_bin,
  KEY dbjobq_schedules_due (next_slot, id)
) ENGINE = InnoDB`
]
