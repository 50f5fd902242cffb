import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Backlog, backlogEntries, LONG, newBacklog } from './backlog.ts'
import { type Entry, NEVER } from './entry.ts'

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
    const backlog = new Backlog(newBacklog(), { maxQueueMessages: 9, maxQueueBytes: 99, overflow: 'reject' })
    backlog.add(entry(3))
    backlog.requeue([entry(1), entry(2)])
    // The next session had room for the first only, and is lost as well.
    backlog.requeue([backlog.shift() as Entry])
    expect(backlogEntries(backlog.state).map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(backlog.state.bytes).toBe(12)
  })

  it('are few after many have left: nothing is kept of those', () => {
    const backlog = new Backlog(newBacklog(), ROOMY)
    for (let seq = 1; seq <= 3 * LONG; seq += 1) backlog.add(entry(seq))
    for (let seq = 1; seq <= 3 * LONG; seq += 1) {
      expect(backlog.first?.seq).toBe(seq)
      expect(backlog.shift()?.seq).toBe(seq)
      const kept = backlog.state.rows.reduce((sum, { entries }) => sum + entries.length, 0)
      expect(kept - backlog.length).toBeLessThan(LONG)
    }
    expect(backlog.shift()).toBeUndefined()
    expect(backlog.state).toEqual(newBacklog())
  })

  it('give way in about the same time, be they few or many, alike or of many priorities', () => {
    // Counted, not timed: how many places a full queue touches to take one more.
    const touchedBy = (count: number, priorities: number) => {
      let touched = 0
      const limits = { maxQueueMessages: count, maxQueueBytes: 1e9, overflow: 'drop-oldest' } as const
      const backlog = new Backlog(newBacklog(), limits)
      for (let seq = 1; seq <= count; seq += 1) backlog.push(entry(seq, seq % priorities), () => {})
      for (const row of backlog.state.rows) {
        row.entries = new Proxy(row.entries, {
          get(target, name, receiver) {
            touched += 1
            return Reflect.get(target, name, receiver)
          },
        })
      }
      for (let seq = count + 1; seq <= count + 1000; seq += 1)
        backlog.push(entry(seq, seq % priorities), () => {})
      expect(backlog.length).toBe(count)
      return touched
    }
    for (const priorities of [1, 7]) {
      const few = touchedBy(2 * LONG * priorities, priorities)
      expect(touchedBy(20 * LONG * priorities, priorities)).toBeLessThanOrEqual(few)
    }
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
        const backlog = new Backlog(newBacklog(), ROOMY)
        let model: Entry[] = []
        let seq = 0
        const put = (one: Entry) => {
          const at = model.findIndex(({ priority }) => priority < one.priority)
          model.splice(at < 0 ? model.length : at, 0, one)
          backlog.add({ ...one })
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
              expect(backlog.shift()?.seq).toBe(model.shift()?.seq)
          } else if (one.do === 'withdraw') {
            const known = model.some((item) => item.seq === one.at)
            expect(backlog.has(one.at)).toBe(known)
            expect(backlog.withdraw(one.at) !== undefined).toBe(known)
            model = model.filter((item) => item.seq !== one.at)
          } else if (one.do === 'requeue') {
            const first = entry(next(), Number.MAX_SAFE_INTEGER)
            model.unshift(first)
            backlog.requeue([{ ...first }])
          } else if (one.do === 'expire') {
            const dropped: number[] = []
            backlog.expire(10, (item) => dropped.push(item.seq))
            expect(dropped).toEqual(model.filter(({ expiresAt }) => expiresAt === 10).map((item) => item.seq))
            model = model.filter(({ expiresAt }) => expiresAt !== 10)
          }
          expect(backlog.length).toBe(model.length)
          expect(backlog.first?.seq).toBe(model[0]?.seq)
          expect(backlog.state.bytes).toBe(4 * model.length)
        }
        for (const { seq: expected } of model) expect(backlog.shift()?.seq).toBe(expected)
        expect(backlog.length).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
