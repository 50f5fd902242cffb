import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { compose } from '../compose.ts'
import type { AttemptContext } from '../Policy.ts'
import { retry } from '../retry/retry.ts'
import { Deadlines } from './Deadlines.ts'
import { timeout } from './timeout.ts'

describe('Deadlines', () => {
  it('keeps one timer for any number of deadlines, and none for none', () => {
    const clock = new VirtualClock()
    const deadlines = new Deadlines(clock)
    const set = Array.from({ length: 1000 }, (_, index) => deadlines.set(1000 + (index % 3), () => {}))
    expect(clock.pending).toBe(1)
    for (const deadline of set) deadlines.cancel(deadline)
    expect([clock.pending, deadlines.size]).toEqual([0, 0])
  })

  it('calls each one that was not cancelled, at its time, never early and at most once', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            gap: fc.nat(50),
            length: fc.integer({ min: 1, max: 200 }),
            cancelAfter: fc.option(fc.nat(250)),
          }),
          {
            maxLength: 60,
          },
        ),
        (steps) => {
          const clock = new VirtualClock()
          const deadlines = new Deadlines(clock)
          const called: [number, number][] = []
          const expected: [number, number][] = []
          for (const [index, { gap, length, cancelAfter }] of steps.entries()) {
            clock.advanceSync(gap)
            const at = clock.now() + length
            const deadline = deadlines.set(length, () => called.push([index, clock.now()]))
            if (cancelAfter === null || cancelAfter > length) expected.push([index, at])
            if (cancelAfter !== null && cancelAfter !== length) {
              clock.setTimeout(() => deadlines.cancel(deadline), cancelAfter)
            } else if (cancelAfter === length) deadlines.cancel(deadline)
          }
          clock.advanceSync(1000)
          const byIndex = (a: [number, number], b: [number, number]) => a[0] - b[0]
          expect(called.sort(byIndex)).toEqual(expected)
          expect([clock.pending, deadlines.size]).toEqual([0, 0])
        },
      ),
    )
  })
})

describe('timeout', () => {
  /** An operation that never answers, and remembers how it was told to stop. */
  function hanging() {
    const seen: { context?: AttemptContext } = {}
    const operation = (context: AttemptContext) => {
      seen.context = context
      return new Promise<never>(() => {})
    }
    return { seen, operation }
  }

  it('rejects and aborts the operation when time runs out', async () => {
    const clock = new VirtualClock()
    const { seen, operation } = hanging()
    const result = timeout(1000, { clock })
      .execute(operation)
      .catch((error: unknown) => error)
    await clock.advance(1000)
    expect(await result).toMatchObject({
      code: 'TIMEOUT',
      phase: 'attempt',
      timeoutMs: 1000,
      isTimeoutError: true,
    })
    expect(seen.context?.signal?.aborted).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('passes on what the operation gives, and leaves no timer', async () => {
    const clock = new VirtualClock()
    expect(await timeout(1000, { clock }).execute(() => 5)).toBe(5)
    await expect(
      timeout(1000, { clock }).execute(() => {
        throw new Error('own')
      }),
    ).rejects.toThrow('own')
    expect(clock.pending).toBe(0)
  })

  it("works beside the caller's signal", async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const { seen, operation } = hanging()
    const result = timeout(1000, { clock })
      .execute(operation, { signal: controller.signal, attempt: 1, deadlineAt: Infinity })
      .catch((error: unknown) => error)
    controller.abort('enough')
    expect(await result).toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(seen.context?.signal?.aborted).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('does not start what is aborted already', async () => {
    const { seen, operation } = hanging()
    const signal = AbortSignal.abort('before')
    await expect(
      timeout(1000).execute(operation, { signal, attempt: 1, deadlineAt: Infinity }),
    ).rejects.toMatchObject({
      cause: 'before',
    })
    expect(seen.context).toBeUndefined()
  })
})

describe('compose', () => {
  it('nests from the outside in: a deadline over retries over an attempt timeout', async () => {
    const clock = new VirtualClock()
    const policy = compose(
      timeout(5000, { clock, phase: 'deadline' }),
      retry({ clock, retries: 9, random: () => 0 }),
      timeout(1000, { clock }),
    )
    const attempts: number[] = []
    const result = policy
      .execute((context) => {
        attempts.push(context.attempt)
        return new Promise<never>(() => {})
      })
      .catch((error: unknown) => error)
    await clock.advance(60_000)
    // 0 to 1 s, 1.5 to 2.5 s, 3.5 to 4.5 s; the next would begin after the deadline.
    expect(attempts).toEqual([1, 2, 3])
    expect(await result).toMatchObject({ code: 'TIMEOUT', phase: 'attempt', attempts: 3 })
    expect(clock.pending).toBe(0)
  })

  it('without policies it just runs', async () => {
    expect(await compose().execute(() => 'bare')).toBe('bare')
  })

  it('says which argument is no policy', () => {
    expect(() => compose(retry(), {} as never)).toThrow('compose: argument 2 must be a policy')
  })
})
