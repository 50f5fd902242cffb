import { describe, expect, it } from 'vitest'
import type { RedisEngine } from '../RedisEngine.ts'
import { agreeOnLimit } from './agreedLimits.ts'

const engine = () => ({}) as RedisEngine
const limit = (tokensPerSecond: number, burstCapacity: number) => ({ tokensPerSecond, burstCapacity })

describe('limiters of one name', () => {
  it('say the same numbers, or it is an error that names them', () => {
    const one = engine()
    const leave = agreeOnLimit(one, 'a', limit(10, 20))
    agreeOnLimit(one, 'a', limit(10, 20))()
    expect(() => agreeOnLimit(one, 'a', limit(11, 20))).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        option: 'tokensPerSecond',
        message: expect.stringMatching(/must be the number 10, as another limiter.*got 11/),
      }),
    )
    expect(() => agreeOnLimit(one, 'a', limit(10, 21))).toThrow(
      expect.objectContaining({ option: 'burstCapacity' }),
    )
    agreeOnLimit(one, 'b', limit(1, 1))
    agreeOnLimit(engine(), 'a', limit(1, 1))
    leave()
    leave()
    agreeOnLimit(one, 'a', limit(1, 1))
  })
})
