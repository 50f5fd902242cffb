import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RateLimitError } from '../../core/errors.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { SHARED_KEY } from './keyedBuckets.ts'
import { RateLimiter, type RateLimiterOptions } from './RateLimiter.ts'
import { TokenBucket } from './TokenBucket.ts'
import { TokenQueue } from './TokenQueue.ts'

describe('TokenBucket', () => {
  it('starts full, empties, and refills at its rate up to its capacity', async () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(20, 30, clock)
    expect(bucket.tryConsume(30)).toBe(true)
    expect(bucket.tryConsume()).toBe(false)
    expect(bucket.getRetryAfter()).toBe(50)
    clock.advanceSync(50)
    expect(bucket.tryConsume()).toBe(true)
    clock.advanceSync(60_000)
    expect(bucket.getInfo()).toEqual({ tokens: 30, capacity: 30, rate: 20, retryAfter: 0 })
  })

  it('a changed rate counts from the change on', () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket(10, 10, clock)
    bucket.tryConsume(10)
    clock.advanceSync(100)
    bucket.tokensPerSecond = 50
    expect(bucket.getTokens()).toBeCloseTo(1)
    clock.advanceSync(100)
    expect(bucket.getTokens()).toBeCloseTo(6)
  })

  it('says Infinity for what it never holds', () => {
    expect(new TokenBucket(1, 5).getRetryAfter(6)).toBe(Number.POSITIVE_INFINITY)
  })

  it('names a wrong number', () => {
    expect(() => new TokenBucket(0, 5)).toThrow(
      /TokenBucket: option "limit.tokensPerSecond" must be a number above 0, got 0/,
    )
    expect(() => new TokenBucket(1, 5).tryConsume(-1)).toThrow(/"count"/)
  })
})

function setUp(options: RateLimiterOptions = {}) {
  const clock = new VirtualClock()
  return { clock, limiter: new RateLimiter({ clock, ...options }) }
}

describe('RateLimiter', () => {
  it('lets the burst through and tells the rest truly when to come back', () => {
    const { clock, limiter } = setUp()
    const results = Array.from({ length: 40 }, () => limiter.tryConsume('GET /a'))
    expect(results.filter((result) => result.allowed)).toHaveLength(30)
    const { retryAfter } = results.at(-1)!
    clock.advanceSync(retryAfter - 1)
    expect(limiter.tryConsume('GET /a').allowed).toBe(false)
    clock.advanceSync(1)
    expect(limiter.tryConsume('GET /a').allowed).toBe(true)
  })

  it('keeps endpoints and categories apart', () => {
    const { limiter } = setUp()
    for (let call = 0; call < 10; call += 1) limiter.check('GET /a', { category: 'heavy' })
    expect(() => limiter.check('GET /a', { category: 'heavy' })).toThrow(RateLimitError)
    limiter.check('GET /a')
    limiter.check('GET /b', { category: 'heavy' })
  })

  it('throws an error that says what was limited and when to come back', () => {
    const { limiter } = setUp({ windowMs: 1000, maxRequests: 2 })
    limiter.check('GET /a')
    limiter.check('GET /a')
    let error: unknown
    try {
      limiter.check('GET /a')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({
      isRateLimitError: true,
      code: 'RATE_LIMITED',
      retryAfter: 500,
      endpoint: 'GET /a',
      message: 'Rate limit exceeded for GET /a (api: 2/s, burst 2): try again in 500 ms',
    })
  })

  it('takes a changed, a replaced and a new limit at once, and checks them', () => {
    const { limiter } = setUp()
    for (let call = 0; call < 30; call += 1) limiter.check('k')
    limiter.limits.api!.tokensPerSecond = 1000
    expect(limiter.getInfo('k').retryAfter).toBe(1)
    limiter.limits.api = { tokensPerSecond: 1, burstCapacity: 2 }
    limiter.check('other')
    limiter.check('other')
    expect(() => limiter.check('other')).toThrow(RateLimitError)
    limiter.limits.mine = { tokensPerSecond: 1, burstCapacity: 1 }
    limiter.check('k', { category: 'mine' })
    expect(() => limiter.check('k', { category: 'mine' })).toThrow(RateLimitError)
    expect(() => {
      limiter.limits.api!.burstCapacity = 0
    }).toThrow(/burstCapacity/)
    limiter.limits.bad = { tokensPerSecond: -1, burstCapacity: 1 }
    expect(() => limiter.check('k', { category: 'bad' })).toThrow(/limits.bad.tokensPerSecond/)
  })

  it('switched off it lets everything through; switched on it goes on', () => {
    const { limiter } = setUp({ windowMs: 1000, maxRequests: 1 })
    limiter.check('k')
    limiter.disable()
    for (let call = 0; call < 100; call += 1) limiter.check('k')
    limiter.enable()
    expect(() => limiter.check('k')).toThrow(RateLimitError)
    expect(limiter.isEnabled()).toBe(true)
  })

  it('tells its hooks and counts', () => {
    const seen: string[] = []
    const { limiter } = setUp({
      limits: { api: { burstCapacity: 1 } },
      onRateLimited: (endpoint, info) => seen.push(`no ${endpoint} ${info.retryAfter}`),
      onRequestAllowed: (endpoint, info) => seen.push(`yes ${endpoint} ${info.tokens}`),
    })
    limiter.tryConsume('k')
    limiter.tryConsume('k')
    expect(seen).toEqual(['yes k 0', 'no k 50'])
    expect(limiter.getStats()).toEqual({
      totalRequests: 2,
      rateLimited: 1,
      byEndpoint: { k: { totalRequests: 2, rateLimited: 1 } },
    })
    expect(limiter.getStats('k')).toEqual({ totalRequests: 2, rateLimited: 1 })
    expect(limiter.getStats('never')).toBeUndefined()
    limiter.resetStats()
    expect(limiter.getStats('k')).toEqual({ totalRequests: 0, rateLimited: 0 })
    limiter.clear()
    limiter.check('k')
  })

  it('an endpoint called __proto__ is an endpoint like any other', () => {
    const { limiter } = setUp()
    limiter.check('__proto__')
    expect(limiter.getStats('__proto__')).toEqual({ totalRequests: 1, rateLimited: 0 })
  })

  it('keeps its memory bounded, and new endpoints gain nothing from being new', () => {
    const { clock, limiter } = setUp({
      maxEndpoints: 10,
      limits: { api: { tokensPerSecond: 1, burstCapacity: 2 } },
    })
    let allowed = 0
    for (let endpoint = 0; endpoint < 1000; endpoint += 1) {
      if (limiter.tryConsume(`/${endpoint}`).allowed) allowed += 1
    }
    // Ten of their own, one call each, and two tokens of the shared bucket.
    expect(allowed).toBe(12)
    expect(limiter.buckets.size).toBe(11)
    expect(limiter.buckets.has(SHARED_KEY)).toBe(true)
    // Once they are full again they may be forgotten.
    clock.advanceSync(5000)
    expect(limiter.tryConsume('/new').allowed).toBe(true)
    expect(limiter.buckets.has('/new')).toBe(true)
    expect(limiter.buckets.size).toBeLessThanOrEqual(11)
  })

  it('looks at every endpoint in turn for one to forget, and goes on after all were forgotten at once', () => {
    const { clock, limiter } = setUp({
      maxEndpoints: 10,
      limits: { api: { tokensPerSecond: 1, burstCapacity: 2 } },
    })
    const own = (endpoint: string) => {
      limiter.tryConsume(endpoint)
      return limiter.buckets.has(endpoint)
    }
    for (const round of ['first', 'second']) {
      for (let endpoint = 0; endpoint < 10; endpoint += 1) limiter.check(`/${endpoint}`)
      clock.advanceSync(5000)
      for (let endpoint = 0; endpoint < 8; endpoint += 1) limiter.check(`/${endpoint}`)
      // Of those that are looked at first none is full; the two behind them are.
      expect([own(`/${round} a`), own(`/${round} b`)]).toEqual([false, true])
      expect(limiter.buckets.has('/8')).toBe(false)
      for (let endpoint = 0; endpoint < 8; endpoint += 1)
        expect(limiter.buckets.has(`/${endpoint}`)).toBe(true)
      limiter.clear()
    }
  })

  it('never admits more than burst + rate x time in any window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.record({ gap: fc.nat(400), cost: fc.integer({ min: 1, max: 5 }) }), { maxLength: 150 }),
        (tokensPerSecond, burstCapacity, steps) => {
          const { clock, limiter } = setUp({ limits: { api: { tokensPerSecond, burstCapacity } } })
          const admitted: { at: number; cost: number }[] = []
          for (const { gap, cost } of steps) {
            clock.advanceSync(gap)
            if (limiter.tryConsume('k', { cost }).allowed) admitted.push({ at: clock.now(), cost })
          }
          for (const [first, { at: from }] of admitted.entries()) {
            let sum = 0
            for (const { at, cost } of admitted.slice(first)) {
              sum += cost
              expect(sum).toBeLessThanOrEqual(burstCapacity + (tokensPerSecond * (at - from)) / 1000 + 1e-6)
            }
          }
        },
      ),
    )
  })

  it.each([
    [
      { limits: { api: { tokensPerSecond: -5 } } },
      /RateLimiter: option "limits.api.tokensPerSecond" must be a number above 0, got -5/,
    ],
    [
      { limits: { mine: { tokensPerSecond: 5 } } },
      /"limits.mine.burstCapacity" must be a number .* got undefined/,
    ],
    [{ windowMs: 1000 }, /"windowMs" must be given together with "maxRequests"/],
    [{ enabled: 'yes' }, /"enabled" must be true or false, got "yes"/],
  ])('refuses %j', (options, message) => {
    expect(() => new RateLimiter(options as unknown as RateLimiterOptions)).toThrow(message)
  })

  it('refuses an unknown category and names the known ones', () => {
    const { limiter } = setUp()
    expect(() => limiter.check('k', { category: 'toString' })).toThrow(
      /option "category" must be one of api, heavy, streaming, control, got "toString"/,
    )
  })
})

describe('TokenQueue', () => {
  function waiting() {
    const { clock, limiter } = setUp({ limits: { api: { tokensPerSecond: 10, burstCapacity: 1 } } })
    const queue = new TokenQueue(limiter, clock)
    const served: string[] = []
    const come = (name: string, request: Parameters<TokenQueue['acquire']>[1] = {}) => {
      const turn = queue.acquire('k', request)
      if (turn) return turn.then(() => void served.push(name))
      served.push(name)
      return Promise.resolve()
    }
    return { clock, limiter, queue, served, come }
  }

  it('serves in order of arrival, one token at a time, and leaves nothing behind', async () => {
    const { clock, queue, served, come } = waiting()
    for (const name of ['a', 'b', 'c', 'd']) void come(name)
    expect(served).toEqual(['a'])
    await clock.advance(100)
    expect(served).toEqual(['a', 'b'])
    await clock.advance(200)
    expect(served).toEqual(['a', 'b', 'c', 'd'])
    expect([queue.waiting, clock.pending]).toEqual([0, 0])
  })

  it('serves higher priorities first', async () => {
    const { clock, served, come } = waiting()
    void come('first')
    void come('low')
    void come('high', { priority: 5 })
    void come('low too')
    void come('high too', { priority: 5 })
    await clock.advance(1000)
    expect(served).toEqual(['first', 'high', 'high too', 'low', 'low too'])
  })

  it('lets nobody past who asks for the same bucket without waiting', async () => {
    const { clock, limiter, served, come } = waiting()
    void come('a')
    void come('b')
    await clock.advance(99)
    expect(limiter.tryConsume('k').allowed).toBe(false)
    await clock.advance(1)
    expect(served).toEqual(['a', 'b'])
  })

  it('an aborted caller leaves at once, takes no token, and the next moves up', async () => {
    const { clock, queue, served, come } = waiting()
    const controller = new AbortController()
    void come('a')
    const gone = come('b', { signal: controller.signal }).catch((error: unknown) => error)
    void come('c')
    await clock.advance(50)
    controller.abort('changed my mind')
    expect(await gone).toMatchObject({ code: 'ABORTED', cause: 'changed my mind' })
    expect(queue.waiting).toBe(1)
    await clock.advance(50)
    expect(served).toEqual(['a', 'c'])
    expect(clock.pending).toBe(0)
  })

  it('refuses at once whose turn would come after the deadline', async () => {
    const { come, clock } = waiting()
    void come('a')
    void come('b')
    await expect(come('c', { deadlineAt: clock.now() + 150 })).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfter: 200,
    })
    await clock.advance(1000)
  })

  it('serves everyone when the limiter is switched off, within a second', async () => {
    const { clock, limiter, served, come } = waiting()
    limiter.limits.api!.tokensPerSecond = 0.001
    void come('a')
    void come('b')
    void come('c')
    limiter.disable()
    await clock.advance(1000)
    expect(served).toEqual(['a', 'b', 'c'])
  })

  it('sends everyone away when it is cleared', async () => {
    const { clock, queue, come } = waiting()
    void come('a')
    const gone = come('b').catch((error: unknown) => error)
    queue.clear('over')
    expect(await gone).toBe('over')
    expect(clock.pending).toBe(0)
  })

  it('in order, within the limit, nothing left behind: whoever comes, goes or is aborted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ gap: fc.nat(150), abortAfter: fc.option(fc.nat(800)) }), { maxLength: 30 }),
        async (callers) => {
          const { clock, queue, served, come } = waiting()
          const expected: string[] = []
          for (const [index, { gap, abortAfter }] of callers.entries()) {
            await clock.advance(gap)
            const controller = new AbortController()
            const name = String(index)
            void come(name, { signal: controller.signal }).catch(() => {})
            if (abortAfter !== null) clock.setTimeout(() => controller.abort(), abortAfter)
            expected.push(name)
          }
          await clock.advance(60_000)
          expect(served).toEqual(expected.filter((name) => served.includes(name)))
          expect([queue.waiting, clock.pending]).toEqual([0, 0])
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('a deadline in the line', () => {
  it('ends the wait of whom others overtook, at its time, and leaves nothing behind', async () => {
    const clock = new VirtualClock()
    const limiter = new RateLimiter({ clock, limits: { api: { tokensPerSecond: 1, burstCapacity: 1 } } })
    const queue = new TokenQueue(limiter, clock)
    expect(queue.acquire('x', {})).toBeUndefined()
    let leftAt = Number.NaN
    const overtaken = queue.acquire('x', { deadlineAt: 2500 })?.catch((error) => {
      leftAt = clock.now()
      return error
    })
    for (let caller = 0; caller < 5; caller += 1) queue.acquire('x', { priority: 1 })
    await clock.advance(10_000)
    expect(await overtaken).toMatchObject({ code: 'RATE_LIMITED' })
    expect(leftAt).toBe(2500)
    expect(queue.waiting).toBe(0)
    expect(clock.pending).toBe(0)
  })
})
