import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffDelay, decorrelatedDelay, jitterRanges } from './backoff.ts'

const retry = { baseMs: 500, factor: 2, maxMs: 30_000, jitter: [1, 1.5] } as const

describe('backoffDelay', () => {
  it.each([
    [1, 0, 500],
    [1, 0.999999, 750],
    [2, 0, 1000],
    [3, 0.5, 2500],
    [7, 0, 30_000],
    [60, 0.5, 30_000],
    [2000, 0.5, 30_000],
  ])('repetition %i with chance %d waits %d ms', (repetition, chance, expected) => {
    expect(backoffDelay(retry, repetition, () => chance)).toBeCloseTo(expected, 2)
  })

  it('draws no number when the range is a point', () => {
    const random = () => {
      throw new Error('drawn')
    }
    expect(backoffDelay({ ...retry, jitter: jitterRanges.none }, 2, random)).toBe(1000)
  })

  it('only shortens the delay when the range ends at 1', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (repetition, chance, jitter) => {
          const backoff = { baseMs: 2000, factor: 2, maxMs: 30_000, jitter: [1 - jitter, 1] } as const
          const delay = backoffDelay(backoff, repetition, () => chance)
          expect(delay).toBeLessThanOrEqual(Math.min(30_000, 2000 * 2 ** (repetition - 1)))
          expect(delay).toBeGreaterThanOrEqual(0)
        },
      ),
    )
  })
})

describe('decorrelatedDelay', () => {
  it('stays between the base and three times the delay before, and under the cap', () => {
    fc.assert(
      fc.property(
        fc.option(fc.double({ min: 1, max: 1e6, noNaN: true }), { nil: undefined }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (previous, chance) => {
          const delay = decorrelatedDelay({ baseMs: 100, maxMs: 5000 }, previous, () => chance)
          expect(delay).toBeGreaterThanOrEqual(100)
          expect(delay).toBeLessThanOrEqual(Math.min(5000, Math.max(100, (previous ?? 100) * 3)))
        },
      ),
    )
  })
})
