import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Entry, NEVER } from './entry.ts'
import { LONG, newWaiting, Waiting } from './waiting.ts'

const entry = (seq: number, priority = 0, expiresAt = NEVER): Entry => ({
  seq,
  stream: -1,
  payload: 'text',
  bytes: 4,
  priority,
  expiresAt,
})

const ROOMY = { maxQueueMessages: 1e6, maxQueueBytes: 1e9, overflow: 'reject' } as const

describe('messages that wait', () => {
  it('keep their order when session after session is lost', () => {
    const waiting = new Waiting(newWaiting(), { maxQueueMessages: 9, maxQueueBytes: 99, overflow: 'reject' })
    waiting.add(entry(3))
    waiting.requeue([entry(1), entry(2)])
    // The next session had room for the first only, and is lost as well.
    waiting.requeue([waiting.shift() as Entry])
    expect(waiting.state.entries.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(waiting.state.bytes).toBe(12)
  })

  it('are few after many have left: nothing is kept of those', () => {
    const waiting = new Waiting(newWaiting(), ROOMY)
    for (let seq = 1; seq <= 3 * LONG; seq += 1) waiting.add(entry(seq))
    for (let seq = 1; seq <= 3 * LONG; seq += 1) {
      expect(waiting.first?.seq).toBe(seq)
      expect(waiting.shift()?.seq).toBe(seq)
      expect(waiting.state.entries.length - waiting.length).toBeLessThan(LONG)
    }
    expect(waiting.shift()).toBeUndefined()
    expect(waiting.state).toEqual(newWaiting())
  })

  it('do as a plain list would, be they few or many', () => {
    const deed = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('shift' as const), times: fc.integer({ min: 1, max: 900 }) }),
      },
      fc.record({ do: fc.constant('add' as const), priority: fc.integer({ min: -1, max: 1 }) }),
      fc.record({ do: fc.constant('withdraw' as const), at: fc.nat(4000) }),
      fc.record({ do: fc.constantFrom('requeue' as const, 'expire' as const, 'look' as const) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * LONG }), fc.array(deed, { maxLength: 12 }), (many, deeds) => {
        const waiting = new Waiting(newWaiting(), ROOMY)
        let model: Entry[] = []
        let seq = 0
        const put = (one: Entry) => {
          const at = model.findIndex(({ priority }) => priority < one.priority)
          model.splice(at < 0 ? model.length : at, 0, one)
          waiting.add({ ...one })
        }
        const next = () => {
          seq += 1
          return seq
        }
        for (let index = 0; index < many; index += 1) put(entry(next(), 0, index % 7 === 0 ? 10 : NEVER))
        for (const one of deeds) {
          if (one.do === 'add') put(entry(next(), one.priority))
          else if (one.do === 'shift') {
            for (let left = one.times; left > 0; left -= 1)
              expect(waiting.shift()?.seq).toBe(model.shift()?.seq)
          } else if (one.do === 'withdraw') {
            const known = model.some((item) => item.seq === one.at)
            expect(waiting.has(one.at)).toBe(known)
            expect(waiting.withdraw(one.at) !== undefined).toBe(known)
            model = model.filter((item) => item.seq !== one.at)
          } else if (one.do === 'requeue') {
            const first = entry(next(), Number.MAX_SAFE_INTEGER)
            model.unshift(first)
            waiting.requeue([{ ...first }])
          } else if (one.do === 'expire') {
            const dropped: number[] = []
            waiting.expire(10, (item) => dropped.push(item.seq))
            expect(dropped).toEqual(model.filter(({ expiresAt }) => expiresAt === 10).map((item) => item.seq))
            model = model.filter(({ expiresAt }) => expiresAt !== 10)
          }
          expect(waiting.length).toBe(model.length)
          expect(waiting.first?.seq).toBe(model[0]?.seq)
          expect(waiting.state.bytes).toBe(4 * model.length)
        }
        for (const { seq: expected } of model) expect(waiting.shift()?.seq).toBe(expected)
        expect(waiting.length).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
