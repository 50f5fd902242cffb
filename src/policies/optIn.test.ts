// The policies that nobody gets unless asked for: bulkhead, adaptive throttle, hedge, coalesce, fallback, chaos.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AbortError, ApiError, CommsError, TimeoutError } from '../core/errors.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { adaptiveThrottle, ThrottleWindow } from './adaptiveThrottle/adaptiveThrottle.ts'
import { bulkhead } from './bulkhead/bulkhead.ts'
import { chaos } from './chaos/chaos.ts'
import { Coalescer } from './coalesce/coalesce.ts'
import { fallback } from './fallback/fallback.ts'
import { hedge } from './hedge/hedge.ts'
import { LatencyWindow } from './hedge/latencyWindow.ts'
import type { AttemptContext } from './Policy.ts'
import { RetryBudget } from './retry/retryBudget.ts'

/** A promise and its two ends. */
function gate<T = void>() {
  return Promise.withResolvers<T>()
}

const withSignal = (signal: AbortSignal): AttemptContext => ({
  signal,
  attempt: 1,
  deadlineAt: Number.POSITIVE_INFINITY,
})

describe('bulkhead', () => {
  it('runs so many at once, lets so many wait in order, and refuses the rest', async () => {
    const policy = bulkhead({ maxConcurrent: 2, maxQueue: 1 })
    const gates = [gate(), gate(), gate()]
    const started: number[] = []
    const calls = gates.map(({ promise }, index) =>
      policy.execute(() => {
        started.push(index)
        return promise
      }),
    )
    await expect(policy.execute(() => 0)).rejects.toMatchObject({
      code: 'BULKHEAD_FULL',
      isBulkheadError: true,
    })
    expect([policy.running, policy.queued]).toEqual([2, 1])
    gates[0]!.resolve()
    await calls[0]
    expect(started).toEqual([0, 1, 2])
    gates[1]!.resolve()
    gates[2]!.resolve()
    await Promise.all(calls)
    expect([policy.running, policy.queued]).toEqual([0, 0])
  })

  it('a waiting caller that aborts leaves its place to the next', async () => {
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 5 })
    const first = gate()
    const order: string[] = []
    const running = policy.execute(() => first.promise)
    const controller = new AbortController()
    const gone = policy
      .execute(() => order.push('gone'), withSignal(controller.signal))
      .catch((error: unknown) => error)
    const next = policy.execute(() => order.push('next'))
    controller.abort('bye')
    expect(await gone).toMatchObject({ code: 'ABORTED', cause: 'bye' })
    first.resolve()
    await Promise.all([running, next])
    expect(order).toEqual(['next'])
    expect([policy.running, policy.queued]).toEqual([0, 0])
  })

  it('gives the place back when the operation fails', async () => {
    const policy = bulkhead({ maxConcurrent: 1 })
    const fail = () => {
      throw new Error('own')
    }
    await expect(policy.execute(fail)).rejects.toThrow('own')
    await expect(policy.execute(fail)).rejects.toThrow('own')
  })
})

describe('adaptiveThrottle', () => {
  it.each([
    [100, 100, 0],
    [100, 50, 0],
    [100, 25, 50 / 101],
    [100, 0, 100 / 101],
  ])('of %i requests with %i accepted it turns away %d', (requests, accepts, expected) => {
    const window = new ThrottleWindow(2, 120_000)
    for (let request = 0; request < requests; request += 1) window.record(request < accepts, 0)
    expect(window.rejectProbability(1)).toBeCloseTo(expected, 10)
    expect(window.rejectProbability(500_000)).toBe(0)
  })

  it('holds calls back while the backend is overloaded, and forgets it after two minutes', async () => {
    const clock = new VirtualClock()
    const policy = adaptiveThrottle({ clock, random: () => 0.5 })
    const overloaded = () => {
      throw new TimeoutError('timeout', { phase: 'attempt', timeoutMs: 1 })
    }
    for (let call = 0; call < 10; call += 1) await policy.execute(overloaded).catch(() => {})
    await expect(policy.execute(() => 'answer')).rejects.toMatchObject({ code: 'THROTTLED' })
    clock.advanceSync(130_000)
    expect(await policy.execute(() => 'answer')).toBe('answer')
  })

  it("does not take the caller's own mistakes for overload", async () => {
    const policy = adaptiveThrottle({ random: () => 0 })
    const notFound = () => {
      throw new ApiError('404', { status: 404, body: '', headers: {}, url: '' })
    }
    for (let call = 0; call < 20; call += 1)
      await expect(policy.execute(notFound)).rejects.toMatchObject({ status: 404 })
  })
})

describe('LatencyWindow', () => {
  it('tells what a share of the latest durations stays under', () => {
    const window = new LatencyWindow()
    expect(window.quantile(0.5)).toBeUndefined()
    for (let duration = 1; duration <= 1000; duration += 1) window.record(duration)
    expect(window.quantile(0)).toBe(873)
    expect(window.quantile(0.5)).toBe(937)
    expect(window.quantile(1)).toBe(1000)
  })
})

describe('hedge', () => {
  it('asks again when the answer is slow, takes the first and aborts the other', async () => {
    const clock = new VirtualClock()
    const signals: AbortSignal[] = []
    const result = hedge({ clock, delay: 100 }).execute((context) => {
      signals.push(context.signal!)
      return context.attempt === 1 ? new Promise<string>(() => {}) : 'hedged'
    })
    await clock.advance(99)
    expect(signals).toHaveLength(1)
    await clock.advance(1)
    expect(await result).toBe('hedged')
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false])
    expect(clock.pending).toBe(0)
  })

  it('sends no hedge when the answer is in time', async () => {
    const clock = new VirtualClock()
    let sent = 0
    expect(await hedge({ clock, delay: 100 }).execute(() => ++sent)).toBe(1)
    await clock.advance(1000)
    expect([sent, clock.pending]).toEqual([1, 0])
  })

  it('learns its delay from what it has seen', async () => {
    const clock = new VirtualClock()
    const hedges: number[] = []
    const policy = hedge({
      clock,
      quantile: 0.9,
      minSamples: 10,
      onHedge: ({ afterMs }) => hedges.push(afterMs),
    })
    const take = (ms: number) => async () => {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms))
    }
    for (let call = 1; call <= 10; call += 1) {
      const result = policy.execute(take(call * 10))
      await clock.advance(200)
      await result
    }
    expect(hedges).toEqual([])
    const slow = policy.execute(take(1000))
    await clock.advance(2000)
    await slow
    expect(hedges).toEqual([100])
  })

  it('sends the next at once when one fails, and fails with the last', async () => {
    const clock = new VirtualClock()
    const at: number[] = []
    const result = hedge({ clock, delay: 100, maxHedges: 2 }).execute(({ attempt }) => {
      at.push(clock.now())
      throw new Error(`down ${attempt}`)
    })
    await expect(result).rejects.toThrow('down 3')
    expect(at).toEqual([0, 0, 0])
    expect(clock.pending).toBe(0)
  })

  it('a fatal error ends it', async () => {
    const clock = new VirtualClock()
    const signals: AbortSignal[] = []
    const result = hedge({
      clock,
      delay: 10,
      handle: (error) => (error as Error).message !== 'fatal',
    }).execute((context) => {
      signals.push(context.signal!)
      if (context.attempt === 2) throw new Error('fatal')
      return new Promise(() => {})
    })
    const failed = result.catch((error: Error) => error.message)
    await clock.advance(10)
    expect(await failed).toBe('fatal')
    expect(signals[0]!.aborted).toBe(true)
  })

  it('stays within the budget it shares with retries', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ reservePerSecond: 0, ratio: 0.2 })
    const policy = hedge({ clock, delay: 1, budget })
    let sent = 0
    const calls = Array.from({ length: 100 }, () =>
      policy.execute(async () => {
        sent += 1
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 50))
      }),
    )
    await clock.advance(100)
    await Promise.all(calls)
    expect(sent).toBe(120)
  })

  it('ends with the caller', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const signals: AbortSignal[] = []
    const result = hedge({ clock, delay: 10 })
      .execute((context) => {
        signals.push(context.signal!)
        return new Promise(() => {})
      }, withSignal(controller.signal))
      .catch((error: unknown) => error)
    await clock.advance(10)
    controller.abort('enough')
    expect(await result).toBeInstanceOf(AbortError)
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true])
    expect(clock.pending).toBe(0)
  })
})

describe('Coalescer', () => {
  it('runs once for all who ask for the same at the same time', async () => {
    const coalescer = new Coalescer<number>()
    const answer = gate<number>()
    let runs = 0
    const ask = (key: string) =>
      coalescer.run(key, () => {
        runs += 1
        return answer.promise
      })
    const all = Promise.all([ask('a'), ask('a'), ask('b')])
    answer.resolve(7)
    expect(await all).toEqual([7, 7, 7])
    expect(runs).toBe(2)
    expect(coalescer.size).toBe(0)
    await ask('a')
    expect(runs).toBe(3)
  })

  it('lets each caller abort alone, and ends the work with the last', async () => {
    const coalescer = new Coalescer<string>()
    const answer = gate<string>()
    let inner: AbortSignal | undefined
    const work = (signal: AbortSignal) => {
      inner = signal
      return answer.promise
    }
    const [one, two] = [new AbortController(), new AbortController()]
    const first = coalescer.run('k', work, one.signal).catch((error: unknown) => error)
    const second = coalescer.run('k', work, two.signal).catch((error: unknown) => error)
    one.abort('one')
    expect(await first).toMatchObject({ code: 'ABORTED', cause: 'one' })
    expect(inner?.aborted).toBe(false)
    two.abort('two')
    expect(await second).toMatchObject({ cause: 'two' })
    expect(inner?.aborted).toBe(true)
    expect(coalescer.size).toBe(0)
    answer.resolve('late')
  })

  it('fails for all when the work fails, without an unhandled rejection', async () => {
    const coalescer = new Coalescer<string>()
    const fail = async () => {
      throw new Error('down')
    }
    const results = await Promise.allSettled([
      coalescer.run('k', fail),
      coalescer.run('k', fail, new AbortController().signal),
    ])
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected'])
    expect(coalescer.size).toBe(0)
  })
})

describe('fallback', () => {
  const fail = () => {
    throw new Error('down')
  }

  it('answers with a value, or with what a function makes of the error', async () => {
    expect(await fallback('cached').execute(fail)).toBe('cached')
    expect(await fallback((error) => (error as Error).message).execute(fail)).toBe('down')
    expect(await fallback('cached').execute(() => 'fresh')).toBe('fresh')
  })

  it('steps in only where it should, and tells', async () => {
    const seen: unknown[] = []
    const policy = fallback('cached', {
      handle: (error) => error instanceof CommsError,
      onFallback: (error) => seen.push(error),
    })
    await expect(policy.execute(fail)).rejects.toThrow('down')
    await expect(
      fallback(0).execute(() => {
        throw new AbortError('aborted')
      }),
    ).rejects.toThrow('aborted')
    expect(seen).toEqual([])
  })
})

describe('chaos', () => {
  it('does nothing until it is switched on', async () => {
    const policy = chaos({ fault: { rate: 1, error: () => new Error('injected') } })
    expect(await policy.execute(() => 'fine')).toBe('fine')
    policy.enabled = true
    await expect(policy.execute(() => 'fine')).rejects.toThrow('injected')
  })

  it('injects latency, faults and outcomes at their rates, where the predicate says so', async () => {
    const clock = new VirtualClock()
    const draws = [0.1, 0.9, 0.1]
    const policy = chaos({
      enabled: true,
      clock,
      random: () => draws.shift() ?? 0.99,
      when: ({ attempt }) => attempt === 1,
      latency: { rate: 0.5, ms: 2000 },
      fault: { rate: 0.5, error: () => new Error('injected') },
      outcome: { rate: 0.5, value: () => 'made up' },
    })
    const result = policy.execute(() => 'real')
    await clock.advance(1999)
    expect(clock.pending).toBe(1)
    await clock.advance(1)
    expect(await result).toBe('made up')
    expect(await policy.execute(() => 'real', { attempt: 2, deadlineAt: Number.POSITIVE_INFINITY })).toBe(
      'real',
    )
  })

  it('names a wrong rate', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ min: 1.0001, max: 1e9 }), fc.double({ max: -0.0001, min: -1e9 })),
        (rate) => {
          expect(() => chaos({ latency: { rate, ms: 1 } })).toThrow(
            /chaos: option "latency.rate" must be a number from 0 to 1/,
          )
        },
      ),
    )
  })
})
