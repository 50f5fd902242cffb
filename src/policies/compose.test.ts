// Layers in any order, with policies of anybody's among them: what each promises still holds.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { bulkhead } from './bulkhead/bulkhead.ts'
import { circuitBreaker } from './circuitBreaker/CircuitBreaker.ts'
import { compose } from './compose.ts'
import { hedge } from './hedge/hedge.ts'
import type { AttemptContext, Policy } from './Policy.ts'
import { rateLimit } from './rateLimiter/rateLimit.ts'
import { retry } from './retry/retry.ts'
import { timeout } from './timeout/timeout.ts'

/** A policy as anybody may write one. */
const foreign: Policy = {
  execute: async (operation, context = { attempt: 1, deadlineAt: Number.POSITIVE_INFINITY }) =>
    operation(context),
}

describe('compose', () => {
  it('gives the value or the error of the operation, whatever stands around it', async () => {
    const clock = new VirtualClock()
    const makers: (() => Policy)[] = [
      () => retry({ clock, retries: 0 }),
      () => circuitBreaker({ clock }),
      () => rateLimit({ clock }),
      () => timeout(1000, { clock }),
      () => bulkhead(),
      () => foreign,
      () => compose(foreign, timeout(10, { clock })),
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...makers), { maxLength: 6 }),
        fc.constantFrom(
          () => 'value',
          async () => 'value',
          () => {
            throw new Error('own')
          },
          () => Promise.reject(new Error('own')),
        ),
        async (chosen, operation) => {
          const policy = compose(...chosen.map((make) => make()))
          const [alone] = await Promise.allSettled([(async () => operation())()])
          const [composed] = await Promise.allSettled([policy.execute(operation)])
          expect(composed).toEqual(alone)
          expect(clock.pending).toBe(0)
        },
      ),
    )
  })

  it('calls the operation at once', () => {
    let called = false
    void compose(retry(), circuitBreaker(), timeout(1000)).execute(() => {
      called = true
    })
    expect(called).toBe(true)
  })

  it('numbers the attempts and keeps the nearest deadline', async () => {
    const clock = new VirtualClock()
    const seen: [number, number][] = []
    const policy = compose(
      timeout(5000, { clock, phase: 'deadline' }),
      foreign,
      retry({ clock, random: () => 0 }),
      timeout(1000, { clock }),
    )
    const result = policy.execute(({ attempt, deadlineAt }) => {
      seen.push([attempt, deadlineAt])
      if (attempt < 3) throw new Error('down')
      return 'up'
    })
    await clock.advance(5000)
    expect(await result).toBe('up')
    expect(seen).toEqual([
      [1, 1000],
      [2, 1500],
      [3, 2500],
    ])
  })

  it('a first attempt that answers after its timeout is not heard, and harms none that follows', async () => {
    const clock = new VirtualClock()
    const breaker = circuitBreaker({ clock })
    const policy = compose(retry({ clock, random: () => 0 }), timeout(100, { clock }), breaker)
    const late = Promise.withResolvers<string>()
    const signals: (AbortSignal | undefined)[] = []
    const result = policy.execute(({ attempt, signal }: AttemptContext) => {
      signals.push(signal)
      return attempt === 1 ? late.promise : 'second'
    })
    await clock.advance(600)
    expect(await result).toBe('second')
    late.resolve('first')
    await clock.advance(0)
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false])
    expect(breaker.getState()).toMatchObject({ requestCount: 2, failureCount: 0 })
    expect(clock.pending).toBe(0)
  })

  it('a hedge runs what is within it twice at a time', async () => {
    const clock = new VirtualClock()
    const breaker = circuitBreaker({ clock })
    const result = compose(hedge({ clock, delay: 10 }), breaker, timeout(100, { clock })).execute(
      ({ attempt }) => (attempt === 1 ? new Promise<string>(() => {}) : 'hedged'),
    )
    await clock.advance(10)
    expect(await result).toBe('hedged')
    await clock.advance(1000)
    // The one that lost was aborted, which says nothing about the backend.
    expect(breaker.getState().requestCount).toBe(1)
    expect(clock.pending).toBe(0)
  })

  it('what a listener throws rejects the call and leaves nothing behind', async () => {
    const thrown = new Error('listener')
    const breaker = circuitBreaker({
      threshold: 1,
      volumeThreshold: 1,
      onChange: () => {
        throw thrown
      },
    })
    const place = bulkhead({ maxConcurrent: 1 })
    await expect(
      compose(place, breaker).execute(() => Promise.reject(new Error('down'))),
    ).rejects.toMatchObject({ code: 'CALLBACK_FAILED', message: 'onChange threw: listener', cause: thrown })
    expect(place.running).toBe(0)
    const hook = retry({
      handle: () => {
        throw thrown
      },
    })
    await expect(compose(place, hook).execute(() => Promise.reject(new Error('down')))).rejects.toMatchObject(
      { code: 'CALLBACK_FAILED', message: 'handle threw: listener', cause: thrown },
    )
    expect(place.running).toBe(0)
  })

  it('the time that a wait took is not forgotten by what comes within', async () => {
    const clock = new VirtualClock()
    const limits = { api: { tokensPerSecond: 1, burstCapacity: 1 } }
    const policy = compose(rateLimit({ clock, limiter: { limits }, mode: 'wait' }), timeout(1000, { clock }))
    const deadlines: number[] = []
    const calls = [1, 2].map(() => policy.execute(({ deadlineAt }) => deadlines.push(deadlineAt)))
    await clock.advance(2000)
    await Promise.all(calls)
    expect(deadlines).toEqual([1000, 2000])
  })

  it('names what is no policy', () => {
    expect(() => compose(retry(), {} as Policy)).toThrow(/compose: argument 2 must be a policy/)
  })
})
