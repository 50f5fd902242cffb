// Chance as an argument: whoever draws is handed the source.

/** Returns a number in [0, 1), like `Math.random`. Tests pass `() => 0.5` or a seeded one. */
export type Random = () => number

/** The platform's own generator: good for jitter, not for secrets. */
export const systemRandom: Random = Math.random
