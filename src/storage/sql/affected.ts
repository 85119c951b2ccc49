/**
 * How many rows a statement changed, by the driver's raw answer: `affectedRows` of mysql2, `changes` of the SQLite
 * drivers; undefined where the driver does not tell.
 */
export const affected = (answer: unknown): number | undefined => {
  if (typeof answer !== "object" || answer === null) return undefined
  const count: unknown = Reflect.get(answer, "affectedRows") ?? Reflect.get(answer, "changes")
  return typeof count === "number" ? count : undefined
}
