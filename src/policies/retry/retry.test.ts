import { describe, expect, it } from 'vitest'
import { AbortError, CircuitBreakerError } from '../../core/errors.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { type RetryPolicyOptions, retry } from './retry.ts'
import { RetryBudget } from './retryBudget.ts'
import { type RetryQuestion, retryDecision } from './retryDecision.ts'

const question: RetryQuestion = {
  attempt: 1,
  retries: 2,
  retryable: true,
  retryAfterMs: undefined,
  maxRetryAfterMs: 60_000,
  backoff: { baseMs: 500, factor: 2, maxMs: 30_000, jitter: [1, 1.5] },
  decorrelated: false,
  previousDelayMs: 0,
  now: 0,
  deadlineAt: Number.POSITIVE_INFINITY,
  budget: undefined,
  random: () => 0,
}

describe('retryDecision', () => {
  it.each<[string, Partial<RetryQuestion>, unknown]>([
    ['backs off', {}, { action: 'retry', delayMs: 500 }],
    ['doubles', { attempt: 2 }, { action: 'retry', delayMs: 1000 }],
    ['stops after the last retry', { attempt: 3 }, { action: 'stop', reason: 'attempts-exhausted' }],
    ['never retries with retries 0', { retries: 0 }, { action: 'stop', reason: 'attempts-exhausted' }],
    ['stops for an error not worth it', { retryable: false }, { action: 'stop', reason: 'not-retryable' }],
    [
      'waits as long as the server asked, and a margin',
      { retryAfterMs: 3000 },
      { action: 'retry', delayMs: 3050 },
    ],
    ['keeps its own backoff when that is longer', { retryAfterMs: 10 }, { action: 'retry', delayMs: 500 }],
    [
      'gives up on a wish beyond the cap instead of coming early',
      { retryAfterMs: 60_001 },
      { action: 'stop', reason: 'retry-after-too-long' },
    ],
    [
      'gives up when the deadline would pass in the wait',
      { deadlineAt: 500 },
      { action: 'stop', reason: 'deadline' },
    ],
    [
      'gives up when the budget is spent',
      { budget: new RetryBudget({ ratio: 0, reservePerSecond: 0 }) },
      { action: 'stop', reason: 'budget-exhausted' },
    ],
  ])('%s', (_name, change, expected) => {
    expect(retryDecision({ ...question, ...change })).toEqual(expected)
  })

  it('does not draw on the budget when it stops for another reason', () => {
    const budget = new RetryBudget({ ratio: 0, reservePerSecond: 1, window: 1000 })
    retryDecision({ ...question, budget, retryable: false })
    retryDecision({ ...question, budget, deadlineAt: 1 })
    expect(budget.available(0)).toBe(1)
  })
})

function setUp(options: RetryPolicyOptions = {}) {
  const clock = new VirtualClock()
  const at: number[] = []
  const policy = retry({ clock, random: () => 0, ...options })
  /** Fails the first `failures` times, then answers. */
  const flaky =
    (failures: number, error: () => unknown = () => new Error('down')) =>
    () => {
      at.push(clock.now())
      if (at.length <= failures) throw error()
      return 'answer'
    }
  return { clock, at, policy, flaky }
}

describe('retry', () => {
  it('repeats until it succeeds, at doubling delays', async () => {
    const { clock, at, policy, flaky } = setUp()
    const result = policy.execute(flaky(2))
    await clock.advance(10_000)
    expect(await result).toBe('answer')
    expect(at).toEqual([0, 500, 1500])
  })

  it('rejects with the last error and leaves no timer', async () => {
    const { clock, at, policy, flaky } = setUp()
    const result = policy.execute(flaky(9)).catch((error: Error) => error.message)
    await clock.advance(10_000)
    expect(await result).toBe('down')
    expect(at).toHaveLength(3)
    expect(clock.pending).toBe(0)
  })

  it('stops during a wait when the caller aborts, and does not call again', async () => {
    const { clock, at, policy, flaky } = setUp()
    const controller = new AbortController()
    const result = policy
      .execute(flaky(9), { attempt: 1, deadlineAt: Infinity, signal: controller.signal })
      .catch((error: unknown) => error)
    await clock.advance(100)
    controller.abort('enough')
    const error = await result
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ cause: 'enough', attempts: 1 })
    await clock.advance(60_000)
    expect(at).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  it('does not repeat what a breaker refused', async () => {
    const { at, policy, flaky } = setUp()
    const error = new CircuitBreakerError('Circuit breaker is OPEN', { retryAfter: 1 })
    await expect(policy.execute(flaky(9, () => error))).rejects.toBe(error)
    expect(at).toHaveLength(1)
  })

  it('asks shouldRetry last, with the error and the attempt', async () => {
    const asked: unknown[] = []
    const { clock, at, policy, flaky } = setUp({
      shouldRetry: async (error, attempt) => {
        asked.push([(error as Error).message, attempt])
        return attempt < 2
      },
    })
    const result = policy.execute(flaky(9)).catch((error: Error) => error.message)
    await clock.advance(10_000)
    expect(await result).toBe('down')
    expect(asked).toEqual([
      ['down', 1],
      ['down', 2],
    ])
    expect(at).toHaveLength(2)
  })

  it('honours the wait that an error asks for', async () => {
    const { clock, at, policy, flaky } = setUp()
    const result = policy.execute(flaky(1, () => Object.assign(new Error('busy'), { retryAfter: 2000 })))
    await clock.advance(10_000)
    await result
    expect(at).toEqual([0, 2050])
  })

  it('keeps the load on a dead backend within the shared budget', async () => {
    const clock = new VirtualClock()
    const budget = new RetryBudget({ reservePerSecond: 0 })
    const policy = retry({ clock, random: () => 0, retryDelay: 1, budget })
    let sent = 0
    const calls = Array.from({ length: 100 }, () =>
      policy.execute(() => {
        sent += 1
        throw new Error('down')
      }),
    )
    const settled = Promise.allSettled(calls)
    await clock.advance(1000)
    await settled
    expect(sent).toBe(120)
  })

  it.each([
    [{ retries: -1 }, /retry: option "retries" must be a whole number >= 0, got -1/],
    [{ retries: 1.5 }, /"retries"/],
    [{ retryDelay: '500' }, /"retryDelay" must be a number of milliseconds .* got "500"/],
    [{ jitter: 'some' }, /"jitter" must be "none" or "full"/],
    [{ jitter: [2, 1] }, /"jitter"/],
    [{ retrydelay: 1 }, /"retrydelay" must be spelt "retryDelay"/],
  ])('refuses %j', (options, message) => {
    expect(() => retry(options as unknown as RetryPolicyOptions)).toThrow(message)
  })
})
