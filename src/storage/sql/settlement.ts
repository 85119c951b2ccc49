/**
 * What an outcome makes of its row, as the assignments of an UPDATE. `of` says how a row finds its outcome's values, and
 * `now` is the present.
 */
export const settlement = (of: (value: "kind" | "delay" | "body") => string, now: string): string => `state = CASE
    WHEN ${of("kind")} = 'complete' THEN 'completed'
    WHEN ${of("kind")} = 'fail' THEN 'failed'
    WHEN ${of("kind")} = 'cancel' OR cancel_requested THEN 'cancelled'
    WHEN ${of("delay")} > 0 THEN 'scheduled'
    ELSE 'pending' END,
  run_at = CASE WHEN ${of("kind")} IN ('retry', 'snooze') AND NOT cancel_requested THEN ${now} + ${of("delay")} ELSE run_at END,
  attempt = CASE WHEN ${of("kind")} IN ('snooze', 'release') AND attempt > 0 THEN attempt - 1 ELSE attempt END,
  result = CASE WHEN ${of("kind")} = 'complete' THEN ${of("body")} ELSE NULL END,
  failure = CASE
    WHEN ${of("kind")} IN ('fail', 'retry') THEN ${of("body")}
    WHEN ${of("kind")} = 'complete' THEN NULL
    ELSE failure END,
  finished_at = CASE WHEN ${of("kind")} IN ('complete', 'fail', 'cancel') OR cancel_requested THEN ${now} ELSE NULL END,
  owner = NULL,
  lease_until = NULL`
