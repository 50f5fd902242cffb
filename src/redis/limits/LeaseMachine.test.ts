import { describe, expect, it } from 'vitest'
import type { LeaseReply } from './bucketScript.ts'
import { LeaseMachine } from './LeaseMachine.ts'

const LIFE_MS = 3000
const limit = { tokensPerSecond: 100, burstCapacity: 100 }

function machine(share?: number) {
  return new LeaseMachine(limit, { lifeMs: LIFE_MS, share })
}

const reply = (given: Partial<LeaseReply> = {}): LeaseReply => ({
  accepted: 0,
  ready: 0,
  coming: 0,
  afterMs: 0,
  perMs: 0.1,
  processes: 4,
  waitMs: 0,
  born: 1,
  now: 1_000_000,
  ...given,
})

/** One that has been lent `ready` tokens at time 0. */
function lent(ready: number, more: Partial<LeaseReply> = {}) {
  const one = machine()
  one.plan(0, { first: 1, all: ready })
  one.accept(reply({ ready, ...more }), 1)
  return one
}

describe('LeaseMachine', () => {
  it('spends what it has been lent, and no more', () => {
    const one = lent(3)
    expect([one.take(1, 2), one.take(2, 2), one.take(1, 2)]).toEqual([true, true, false])
  })

  it('spends what is promised when it comes, one after the other', () => {
    const one = lent(0, { coming: 3, afterMs: 50 })
    expect(one.waitMs(1, 1)).toBe(60)
    expect([one.take(1, 60), one.take(1, 61.1), one.take(1, 62), one.take(1, 81.1)]).toEqual([
      false,
      true,
      false,
      true,
    ])
  })

  it('asks for more while the last token is there, for as many as it used of late', () => {
    const one = lent(10)
    for (let call = 0; call < 8; call += 1) one.take(1, 10 + 10 * call)
    expect(one.plan(90)).toBeUndefined()
    one.take(1, 90)
    const asked = one.plan(91)
    expect(asked).toMatchObject({ held: 1, used: 9, need: 0, known: 4, born: 1, since: 0 })
    // Nine in 91 ms: about a hundred in the next second.
    expect(asked?.want).toBeGreaterThan(90)
    expect(asked?.want).toBeLessThanOrEqual(100)
  })

  it('one question at a time, and none for what is promised already', () => {
    const one = lent(1, { coming: 5, afterMs: 100 })
    one.take(1, 2)
    expect(one.plan(3, { first: 1, all: 1 })).toBeUndefined()
    expect(one.plan(3, { first: 9, all: 9 })).toMatchObject({ held: 5, need: 4 })
    expect(one.plan(4, { first: 20, all: 20 })).toBeUndefined()
  })

  it('gives back what it has not used for a third of a lease, and goes on saying that it is there', () => {
    const one = lent(10)
    const first = one.plan(LIFE_MS / 3)
    expect(first).toMatchObject({ held: 10 - 10, want: 0, need: 0 })
    one.accept(reply(), LIFE_MS / 3 + 1)
    expect(one.plan(LIFE_MS / 3 + 500)).toBeUndefined()
    expect(one.plan((2 * LIFE_MS) / 3)).toMatchObject({ held: 0 })
  })

  it('keeps what it is using', () => {
    const one = lent(10)
    one.take(1, 500)
    expect(one.plan(LIFE_MS / 3)).toMatchObject({ held: 9, used: 1 })
  })

  it('what it spent while a question was on its way is not spent twice', () => {
    const one = lent(10)
    for (let call = 0; call < 9; call += 1) one.take(1, 10)
    expect(one.plan(20)).toMatchObject({ held: 1 })
    one.take(1, 21)
    one.accept(reply({ accepted: 1, ready: 5 }), 30)
    expect(one.tokens(30)).toBe(5)
  })

  it('keeps less when the engine accepts less, and owes what it had spent of it', () => {
    const one = lent(10)
    one.take(1, 500)
    one.plan(LIFE_MS / 3)
    for (let call = 0; call < 4; call += 1) one.take(1, 1001)
    one.accept(reply({ accepted: 2, ready: 3 }), 1002)
    // Two kept, four spent meanwhile, three given.
    expect(one.tokens(1002)).toBe(1)
  })

  it('does not believe in a lease that is over', () => {
    const one = lent(10)
    expect(one.take(1, LIFE_MS - 20)).toBe(true)
    expect(one.take(1, LIFE_MS)).toBe(false)
    expect(one.plan(LIFE_MS + 1, { first: 1, all: 1 })).toMatchObject({ held: 0, used: 1 })
  })

  it('an answer to nothing changes nothing', () => {
    const one = lent(1)
    one.accept(reply({ ready: 50 }), 5)
    expect(one.tokens(5)).toBe(1)
  })

  it('does not ask again at once for what there is not', () => {
    const one = machine()
    one.plan(0, { first: 1, all: 1 })
    one.accept(reply({ waitMs: 40 }), 1)
    expect(one.plan(30, { first: 1, all: 1 })).toBeUndefined()
    expect(one.nextAt(30, { first: 1, all: 1 })).toBe(41)
    expect(one.plan(41, { first: 1, all: 1 })).toMatchObject({ need: 1 })
  })

  it('insured: first what is left and promised, then its share, up to its share of the burst', () => {
    const insured = lent(2, { coming: 1, afterMs: 100 })
    insured.plan(5, { first: 9, all: 9 })
    insured.fail(10, 0.5)
    expect(insured.mode).toBe('insured')
    expect([insured.take(2, 11), insured.take(1, 50), insured.take(1, 112)]).toEqual([true, false, true])
    // A third of a lease later what others may have been promised has come, too: a quarter of 100 a second from then on.
    expect(insured.take(1, 1010)).toBe(false)
    expect(insured.waitMs(1, 1010)).toBe(40)
    expect(insured.take(1, 1050)).toBe(true)
    expect(insured.tokens(100_000)).toBe(25)
  })

  it('insured: tries again after a while, less and less often, and says since when', () => {
    const one = lent(0)
    one.plan(50, { first: 1, all: 1 })
    one.fail(60, 1)
    const pauses: number[] = []
    let now = 60
    for (let probe = 0; probe < 6; probe += 1) {
      const at = one.nextAt(now, { first: 0, all: 0 })
      pauses.push(at - now)
      now = at
      expect(one.plan(now)).toMatchObject({ since: 1_000_000 + 50 })
      one.fail(now, 1)
    }
    expect(pauses.map(Math.round)).toEqual([100, 200, 400, 800, 1000, 1000])
  })

  it('says goodbye once it has been heard of, and has nothing left', () => {
    expect(machine().leave(0)).toBeUndefined()
    const one = lent(5)
    expect(one.leave(10)).toMatchObject({ held: 0, leaving: true })
    expect(one.take(1, 11)).toBe(false)
  })
})
