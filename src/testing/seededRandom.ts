// Chance that can be had again: the same seed, the same draws.

import type { Random } from '../core/random.ts'

/** Uniform draws from [0, 1), determined by `seed` (mulberry32, by Tommy Ettinger: 32 bits of state, public domain). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
