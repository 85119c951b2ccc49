/** Milliseconds. Longer sleeps are taken in pieces: a JavaScript timer holds at most 2^31 - 1 ms, about 24 days. */
export const longestSleep = 86_400_000
