/** A server that cannot be reached: its tests are skipped, which is said by name, or fail where every server is demanded. */
export const missing = (what: string, cause?: unknown): undefined => {
  if (process.env.DBJOBQ_TEST_REQUIRE === "all") throw new Error(what, { cause })
  console.warn(`skipped, as there is ${what}`)
  return undefined
}
