// What limiters of this process say about one bucket: those that share a name share its numbers.

import { optionError } from '../../core/options.ts'
import type { Limit } from '../../policies/rateLimiter/options.ts'
import type { RedisEngine } from '../RedisEngine.ts'

interface Agreed extends Limit {
  limiters: number
}

const agreed = new WeakMap<RedisEngine, Map<string, Agreed>>()

/**
 * A limiter joins those of the bucket `key`, until the function that it is given is called.
 * @throws RangeError (`code: 'INVALID_OPTION'`) when another one that is open says other numbers
 */
export function agreeOnLimit(
  engine: RedisEngine,
  key: string,
  { tokensPerSecond, burstCapacity }: Readonly<Limit>,
): () => void {
  const buckets = agreed.get(engine) ?? new Map<string, Agreed>()
  agreed.set(engine, buckets)
  const known = buckets.get(key) ?? { tokensPerSecond, burstCapacity, limiters: 0 }
  const given = { tokensPerSecond, burstCapacity }
  for (const name of ['tokensPerSecond', 'burstCapacity'] as const) {
    if (known[name] === given[name]) continue
    const fault = `must be the number ${known[name]}, as another limiter of the same name says`
    throw optionError('SharedRateLimiter', name, fault, given[name])
  }
  buckets.set(key, known)
  known.limiters += 1
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    known.limiters -= 1
    if (known.limiters === 0 && buckets.get(key) === known) buckets.delete(key)
  }
}
