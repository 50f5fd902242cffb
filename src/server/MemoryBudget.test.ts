import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Holder, MemoryBudget } from './MemoryBudget.ts'

class Thing implements Holder {
  readonly owner: string
  bytes: number
  gone = false

  constructor(owner: string, bytes = 0) {
    this.owner = owner
    this.bytes = bytes
  }

  measure(): number {
    return this.bytes
  }

  giveUp(): void {
    this.bytes = 0
    this.gone = true
  }
}
const hold = (budget: MemoryBudget, thing: Thing, bytes: number) => {
  thing.bytes = bytes
  budget.hold(thing, bytes)
}

describe('a budget of memory', () => {
  it('asks nothing of anybody while there is room', () => {
    const budget = new MemoryBudget(100_000)
    const things = Array.from({ length: 10 }, (_, n) => new Thing(`${n}`))
    for (const thing of things) hold(budget, thing, 10_000)
    expect(budget.bytes).toBe(100_000)
    expect(things.some(({ gone }) => gone)).toBe(false)
    for (const thing of things) hold(budget, thing, 0)
    expect(budget.bytes).toBe(0)
  })

  it('has whoever holds most give up, not whoever comes last', () => {
    const given: string[] = []
    const budget = new MemoryBudget(100_000, ({ owner }, bytes) => given.push(`${owner} ${bytes}`))
    const crowd = Array.from({ length: 9 }, () => new Thing('crowd'))
    const large = new Thing('large')
    for (const thing of crowd) hold(budget, thing, 7000)
    hold(budget, large, 30_000)
    const stranger = new Thing('stranger')
    hold(budget, stranger, 20_000)
    // Each of the crowd holds less than the others, all of them together most.
    expect(given).toEqual(Array(4).fill('crowd 7000'))
    expect([large.gone, stranger.gone]).toEqual([false, false])
    expect(budget.bytes).toBeLessThanOrEqual(87_500)
  })

  it('looks again before it takes anything: what is said to be held may be gone', () => {
    const budget = new MemoryBudget(100_000)
    const [stale, fresh] = [new Thing('stale'), new Thing('fresh')]
    hold(budget, stale, 90_000)
    stale.bytes = 0
    hold(budget, fresh, 50_000)
    expect([stale.gone, fresh.gone]).toEqual([false, false])
    expect(budget.bytes).toBe(50_000)
  })

  it('one that tells of its own end while it gives up does no harm', () => {
    const budget = new MemoryBudget(10_000)
    const thing = new Thing('x')
    thing.giveUp = () => {
      thing.gone = true
      hold(budget, thing, 0)
    }
    hold(budget, thing, 20_000)
    expect(thing.gone).toBe(true)
    expect(budget.bytes).toBe(0)
  })

  it('never holds more than it may for long, and never takes from who holds least while others hold more', () => {
    const step = fc.record({
      owner: fc.integer({ min: 0, max: 4 }),
      thing: fc.integer({ min: 0, max: 3 }),
      bytes: fc.integer({ min: 0, max: 60_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const things = new Map<string, Thing>()
        const totals = () => {
          const sums = new Map<string, number>()
          for (const { owner, bytes } of things.values()) sums.set(owner, (sums.get(owner) ?? 0) + bytes)
          return sums
        }
        const budget = new MemoryBudget(100_000, ({ owner }, bytes) => {
          const sums = totals()
          expect((sums.get(owner) ?? 0) >= Math.max(...sums.values())).toBe(true)
          expect(bytes).toBeGreaterThan(0)
        })
        for (const { owner, thing, bytes } of steps) {
          const key = `${owner}/${thing}`
          const held = things.get(key) ?? new Thing(`${owner}`)
          things.set(key, held)
          hold(budget, held, bytes)
          expect(budget.bytes).toBeLessThanOrEqual(100_000)
          expect(budget.bytes).toBe([...things.values()].reduce((sum, each) => sum + each.bytes, 0))
        }
      }),
    )
  })
})
