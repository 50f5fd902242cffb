// The faces of a shared limiter towards its callers: waiting, being refused, being told when; in virtual time.

import { describe, expect, it } from 'vitest'
import { FakeBucketEngine } from '../../../tests/support/fakeBucketEngine.ts'
import { AbortError, CommsError, RateLimitError } from '../../core/errors.ts'
import { compose } from '../../policies/compose.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { EngineError } from '../EngineError.ts'
import type { SharedRateLimiterOptions } from './options.ts'
import { SharedRateLimiter } from './SharedRateLimiter.ts'

function alone(given: Partial<SharedRateLimiterOptions> = {}) {
  const clock = new VirtualClock()
  const engine = new FakeBucketEngine(clock)
  const limiter = new SharedRateLimiter({
    engine: engine.connect(),
    name: 'quota',
    tokensPerSecond: 10,
    burstCapacity: 5,
    clock,
    random: () => 0.5,
    ...given,
  })
  return { clock, engine, limiter }
}

/** How it ended, once it has: an error, or the time. */
function ending(clock: VirtualClock, work: Promise<unknown>): { readonly outcome: unknown } {
  const ended: { outcome: unknown } = { outcome: undefined }
  work.then(
    () => {
      ended.outcome = clock.now()
    },
    (error: unknown) => {
      ended.outcome = error
    },
  )
  return ended
}

describe('callers that wait', () => {
  it('go in order of arrival, each when its tokens are there', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    const turns = Array.from({ length: 9 }, () => ending(clock, limiter.acquire()))
    await clock.advance(600)
    const times = turns.map(({ outcome }) => outcome as number)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    // The burst at once, the others a tenth of a second apart.
    expect(times[4]).toBeLessThanOrEqual(2010)
    for (const [index, at] of times.slice(5).entries()) {
      expect(at).toBeGreaterThanOrEqual(2000 + 100 * (index + 1))
      expect(at).toBeLessThanOrEqual(2000 + 100 * (index + 1) + 15)
    }
    expect(limiter.getStats()).toMatchObject({ allowed: 9, limited: 0, waiting: 0, processes: 1 })
  })

  it('are refused as soon as it is known that their turn would come too late', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    for (let call = 0; call < 5; call += 1) void limiter.acquire()
    await clock.advance(10)
    const late = ending(clock, limiter.acquire({ deadlineAt: clock.now() + 50 }))
    const early = ending(clock, limiter.acquire({ deadlineAt: clock.now() + 500 }))
    await clock.advance(20)
    expect(late.outcome).toBeInstanceOf(RateLimitError)
    await clock.advance(300)
    expect(early.outcome).toBeTypeOf('number')
  })

  it('end at their deadline when nobody answers, and leave at once when aborted', async () => {
    const { clock, engine, limiter } = alone({ timeout: 3000 })
    engine.weather = 'silent'
    const waiting = ending(clock, limiter.acquire({ deadlineAt: 700 }))
    const controller = new AbortController()
    const aborted = ending(clock, limiter.acquire({ signal: controller.signal }))
    await clock.advance(699)
    expect(waiting.outcome).toBeUndefined()
    await clock.advance(2)
    expect(waiting.outcome).toBeInstanceOf(RateLimitError)
    controller.abort('enough')
    await clock.advance(0)
    expect(aborted.outcome).toBeInstanceOf(AbortError)
    expect(limiter.getStats().waiting).toBe(0)
  })

  it('take as many tokens as they cost, and are told when that is more than there can be', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    const four = ending(clock, limiter.acquire({ cost: 4 }))
    const fourMore = ending(clock, limiter.acquire({ cost: 4 }))
    const tooMany = ending(clock, limiter.acquire({ cost: 6 }))
    await clock.advance(5)
    expect(four.outcome).toBeTypeOf('number')
    expect(tooMany.outcome).toMatchObject({ retryAfter: Infinity })
    await clock.advance(400)
    expect(fourMore.outcome as number).toBeGreaterThanOrEqual(2300)
  })

  it('are let go when the limiter is closed, and nothing is left behind', async () => {
    const { clock, limiter } = alone()
    const waiting = ending(clock, limiter.acquire({ cost: 5 }))
    await clock.advance(10)
    const closed = limiter.close()
    await clock.advance(10)
    await closed
    expect(waiting.outcome).toMatchObject({ code: 'DISPOSED' })
    expect(ending(clock, limiter.check())).toBeDefined()
    await expect(limiter.acquire()).rejects.toBeInstanceOf(CommsError)
    expect(limiter.tryTake()).toBe(false)
    await clock.advance(10_000)
    expect(clock.pending).toBe(0)
  })
})

describe('callers that do not wait', () => {
  it('wait for the word of the engine and not for tokens', async () => {
    const { clock, limiter } = alone()
    // A bucket starts empty: nobody knows what was spent before.
    const first = ending(clock, limiter.check())
    await clock.advance(10)
    expect(first.outcome).toBeInstanceOf(RateLimitError)
    const { retryAfter } = first.outcome as RateLimitError
    expect(retryAfter).toBeGreaterThan(0)
    await clock.advance(retryAfter + 1)
    const second = ending(clock, limiter.check())
    await clock.advance(10)
    expect(second.outcome).toBeTypeOf('number')
  })

  it('a time that is told is true: then, and not before, the same call goes', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    for (let call = 0; call < 5; call += 1) void limiter.acquire()
    await clock.advance(5)
    limiter.tryConsume()
    await clock.advance(5)
    const { allowed, retryAfter } = limiter.tryConsume()
    expect(allowed).toBe(false)
    await clock.advance(retryAfter - 3)
    expect(limiter.tryTake()).toBe(false)
    await clock.advance(3)
    expect(limiter.tryTake()).toBe(true)
  })

  it('are refused without a delay while the engine is away', async () => {
    const { clock, engine, limiter } = alone()
    await clock.advance(10)
    engine.weather = 'down'
    await clock.advance(1200)
    expect(limiter.state).toBe('insured')
    const refused = ending(clock, limiter.check())
    await clock.advance(0)
    expect(refused.outcome).toBeInstanceOf(RateLimitError)
    expect((refused.outcome as Error).message).toContain('keeps to its share')
  })
})

describe('the engine away', () => {
  it('a process that has never reached it keeps to a tenth, or to what it is told', async () => {
    for (const [given, rate] of [
      [{}, 1],
      [{ insuranceShare: 0.5 }, 5],
      [{ insuranceShare: 0 }, 0],
    ] as const) {
      const { clock, engine, limiter } = alone(given)
      engine.weather = 'down'
      await clock.advance(2000)
      while (limiter.tryTake());
      let allowed = 0
      for (let passed = 0; passed < 10_000; passed += 10) {
        await clock.advance(10)
        if (limiter.tryTake()) allowed += 1
      }
      expect(Math.abs(allowed - 10 * rate)).toBeLessThanOrEqual(1)
      await limiter.close()
    }
  })

  it('is told once, with what to do about it, and when it is back', async () => {
    const told: unknown[] = []
    const { clock, engine, limiter } = alone({
      onChange: (state, error) => told.push([state, error?.reason]),
    })
    await clock.advance(10)
    engine.weather = 'silent'
    await clock.advance(10_000)
    engine.weather = 'fine'
    await clock.advance(2000)
    expect(told).toEqual([
      ['shared', undefined],
      ['insured', 'timeout'],
      ['shared', undefined],
    ])
    expect(limiter.state).toBe('shared')
  })

  it('two seconds of latency: insurance, no call waits longer than the timeout', async () => {
    const { clock, engine, limiter } = alone({ insuranceShare: 1 })
    await clock.advance(2000)
    engine.latencyMs = () => 1000
    const waits: number[] = []
    for (let call = 0; call < 60; call += 1) {
      const begun = clock.now()
      const turn = ending(clock, limiter.check())
      for (let passed = 0; turn.outcome === undefined && passed < 5000; passed += 10) await clock.advance(10)
      waits.push(clock.now() - begun)
      await clock.advance(100)
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(520)
    expect(limiter.state).toBe('insured')
    expect(limiter.getStats().allowed).toBeGreaterThan(30)
  })

  it('ready() says at the start why it cannot be used', async () => {
    const { clock, engine, limiter } = alone()
    engine.weather = 'down'
    const ready = limiter.ready()
    ready.catch(() => {})
    await clock.advance(4000)
    await expect(ready).rejects.toBeInstanceOf(EngineError)
    engine.weather = 'fine'
    await clock.advance(2000)
    await limiter.ready()
  })

  it('ready() waits for a client that is connecting still', async () => {
    const { clock, engine, limiter } = alone()
    engine.weather = 'silent'
    const ready = ending(clock, limiter.ready())
    await clock.advance(1500)
    expect([limiter.state, ready.outcome]).toEqual(['insured', undefined])
    engine.weather = 'fine'
    await clock.advance(1000)
    expect(ready.outcome).toBeTypeOf('number')
  })

  it('a process that has slept asks before it spends', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    void limiter.acquire()
    await clock.advance(10)
    expect(limiter.getStats().tokens).toBeGreaterThan(0)
    clock.sleep(10_000)
    expect(limiter.tryTake()).toBe(false)
    await clock.advance(10)
    expect(limiter.tryTake()).toBe(true)
  })
})

describe('as a policy', () => {
  it('lets through what there is, refuses the rest, and hands over what comes of it', async () => {
    const { clock, limiter } = alone()
    await clock.advance(2000)
    const policy = compose(limiter)
    const outcomes = Array.from({ length: 7 }, (_, index) =>
      ending(
        clock,
        policy.execute(async () => index),
      ),
    )
    await clock.advance(10)
    const refused = outcomes.filter(({ outcome }) => outcome instanceof RateLimitError)
    expect(refused).toHaveLength(2)
    expect(
      await ending(
        clock,
        policy.execute(async () => 0),
      ),
    ).toBeDefined()
  })

  it('waits where it is told to, within the deadline of the call', async () => {
    const { clock, limiter } = alone({ mode: 'wait' })
    await clock.advance(2000)
    const outcomes = Array.from({ length: 7 }, () =>
      ending(
        clock,
        limiter.execute(async () => 'done'),
      ),
    )
    await clock.advance(250)
    for (const { outcome } of outcomes) expect(outcome).toBeTypeOf('number')
    for (let call = 0; call < 5; call += 1) void limiter.execute(async () => 'done')
    const context = { attempt: 1, deadlineAt: clock.now() + 100 }
    const late = ending(
      clock,
      limiter.execute(async () => 'done', context),
    )
    await clock.advance(120)
    expect(late.outcome).toBeInstanceOf(RateLimitError)
  })
})

describe('options', () => {
  const { engine } = alone()
  const good = { engine: engine.connect(), name: 'x', tokensPerSecond: 1, burstCapacity: 1 }
  it.each([
    ['engine', {}],
    ['name', ''],
    ['name', 'x'.repeat(201)],
    ['tokensPerSecond', 0],
    ['tokensPerSecond', Infinity],
    ['burstCapacity', 0],
    ['lease', 50],
    ['timeout', 5000],
    ['insuranceShare', 1.5],
    ['mode', 'queue'],
    ['prefix', ''],
    ['onChange', 'x'],
  ])('%s = %j is refused by name', (name, value) => {
    expect(() => new SharedRateLimiter({ ...good, [name]: value } as never)).toThrow(new RegExp(`"${name}"`))
  })

  it('what is needed and not given is named', () => {
    expect(() => new SharedRateLimiter({ ...good, burstCapacity: undefined } as never)).toThrow(
      /"burstCapacity"/,
    )
    expect(() => alone().limiter.tryTake(-1)).toThrow(/"cost"/)
  })
})
