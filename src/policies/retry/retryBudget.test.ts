import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RetryBudget } from './retryBudget.ts'

describe('RetryBudget', () => {
  it('affords the reserve without a single call', () => {
    const budget = new RetryBudget()
    let retries = 0
    while (budget.tryWithdraw(0)) retries += 1
    expect(retries).toBe(100) // 10/s over a window of 10 s
  })

  it('affords a fifth of the calls on top of the reserve', () => {
    const budget = new RetryBudget({ reservePerSecond: 0 })
    for (let call = 0; call < 100; call += 1) budget.deposit(call)
    let retries = 0
    while (budget.tryWithdraw(100)) retries += 1
    expect(retries).toBe(20)
  })

  it('forgets deposits and withdrawals after the window, however long nothing happened', () => {
    const budget = new RetryBudget({ reservePerSecond: 1 })
    for (let call = 0; call < 1000; call += 1) budget.deposit(0)
    expect(budget.available(0)).toBe(210)
    expect(budget.available(3_600_000)).toBe(10)
    while (budget.tryWithdraw(3_600_000)) {}
    expect(budget.available(3_600_000)).toBe(0)
    expect(budget.available(3_610_001)).toBe(10)
  })

  it('with ratio 0 spends only the reserve', () => {
    const budget = new RetryBudget({ ratio: 0, reservePerSecond: 2, window: 1000 })
    for (let call = 0; call < 1000; call += 1) budget.deposit(0)
    expect(budget.available(0)).toBe(2)
  })

  it('never lets more out than 0.2 x the calls + the reserve, over a whole outage', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ gap: fc.integer({ min: 0, max: 3000 }), calls: fc.integer({ min: 0, max: 50 }) }),
          {
            maxLength: 60,
          },
        ),
        (steps) => {
          const budget = new RetryBudget()
          let now = 0
          let calls = 0
          let retries = 0
          for (const { gap, calls: made } of steps) {
            now += gap
            for (let call = 0; call < made; call += 1) {
              calls += 1
              budget.deposit(now)
              if (budget.tryWithdraw(now)) retries += 1
            }
          }
          // The reserve is there at the start and comes back once per window.
          expect(retries).toBeLessThanOrEqual(0.2 * calls + 100 + (10 * now) / 1000)
        },
      ),
    )
  })

  it('names a wrong option', () => {
    expect(() => new RetryBudget({ ratio: -1 })).toThrow(
      /RetryBudget: option "ratio" must be a number from 0 to 1000, got -1/,
    )
  })
})
