// The decisions of shared connections, one by one.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ABSENT_MS, Absences } from './Absences.ts'
import { LATE_MS, LeaderWatch, QUIET_MS, ROUND_MS, ROUNDS } from './LeaderWatch.ts'
import { type Frame, isOfThisVersion, readEnvelope, tabName } from './protocol.ts'
import { RefusedRanges } from './refusedRanges.ts'

describe('the watch over a leader', () => {
  const answers = (watch: LeaderWatch, times: readonly number[]) => times.map((at) => watch.wake(at))

  it('asks a leader that is quiet, and takes over when there is no answer in time', () => {
    const watch = new LeaderWatch(0)
    watch.heard(0)
    expect(watch.wakeAt).toBe(QUIET_MS)
    expect(answers(watch, [QUIET_MS - 1, QUIET_MS, QUIET_MS + 1])).toEqual([undefined, 'ask', undefined])
    expect(answers(watch, [QUIET_MS + ROUND_MS, QUIET_MS + 2 * ROUND_MS])).toEqual([undefined, 'takeOver'])
    // When that did not help, it is asked anew.
    expect(watch.wakeAt).toBe(2 * QUIET_MS + 2 * ROUND_MS)
    expect(answers(watch, [watch.wakeAt])).toEqual(['ask'])
  })

  it('counts the hello of a tab that has come as its first question', () => {
    const watch = new LeaderWatch(0)
    expect(answers(watch, [ROUND_MS, 2 * ROUND_MS])).toEqual([undefined, 'takeOver'])
  })

  it('asks at once when something is sent to a leader that has not been heard of lately', () => {
    const watch = new LeaderWatch(0)
    watch.heard(0)
    expect(watch.sent(ROUND_MS - 1)).toBe(false)
    expect(watch.sent(ROUND_MS)).toBe(true)
    expect(watch.sent(ROUND_MS + 1)).toBe(false)
    expect(answers(watch, [2 * ROUND_MS, 3 * ROUND_MS])).toEqual([undefined, 'takeOver'])
  })

  it('takes nothing over within the time of an answer, nor after a sleep of its own, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4000), fc.nat(9)), { maxLength: 60 }), (steps) => {
        const watch = new LeaderWatch(0)
        let now = 0
        let heardAt = 0
        for (const [delay, kind] of steps) {
          const due = watch.wakeAt
          now += delay
          if (kind === 0) {
            watch.heard(now)
            heardAt = now
          } else if (kind === 1) watch.sent(now)
          else if (watch.wake(now) === 'takeOver') {
            expect(now - heardAt).toBeGreaterThanOrEqual(ROUNDS * ROUND_MS)
            expect(now - due).toBeLessThanOrEqual(LATE_MS)
          }
        }
      }),
    )
  })
})

describe('who is gone for good', () => {
  it('has been absent for an hour without a break', () => {
    const absences = new Absences()
    const nobody = new Set<string>()
    expect(absences.see(['a', 'b'], nobody, 0)).toEqual([])
    expect(absences.see(['a', 'b'], new Set(['b']), ABSENT_MS - 1)).toEqual([])
    expect(absences.see(['a', 'b'], nobody, ABSENT_MS)).toEqual(['a'])
    expect(absences.see(['b'], nobody, 2 * ABSENT_MS - 1)).toEqual([])
    expect(absences.see(['b'], nobody, 2 * ABSENT_MS)).toEqual(['b'])
  })

  it('may have been so before this tab came', () => {
    const absences = new Absences()
    absences.heard('a', -ABSENT_MS)
    absences.heard('b', 1 - ABSENT_MS)
    expect(absences.see(['a', 'b'], new Set(), 0)).toEqual(['a'])
  })
})

describe('what was refused', () => {
  const why = { code: 'DROPPED', message: 'overflow' } as const

  it('is found until its tab has heard of it, in any order, and takes room by its gaps alone', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 60 }),
        (numbers, base) => {
          const ranges = new RefusedRanges()
          for (const n of numbers) ranges.add(n, why)
          const again = new RefusedRanges(structuredClone(ranges.upTo(40)))
          for (let n = 1; n <= 60; n += 1) {
            expect(ranges.find(n)).toEqual(numbers.includes(n) ? why : undefined)
            expect(again.find(n)).toEqual(numbers.includes(n) && n <= 40 ? why : undefined)
          }
          ranges.forgetBelow(base)
          for (const n of numbers) if (n >= base) expect(ranges.find(n)).toEqual(why)
        },
      ),
    )
    const row = new RefusedRanges()
    for (let n = 1; n <= 100_000; n += 1) row.add(n, why)
    expect(row.upTo(100_000)).toEqual([{ n: 1, to: 100_000, why }])
  })

  it('keeps its reason', () => {
    const ranges = new RefusedRanges([{ n: 3, why }])
    ranges.add(4, { code: 'QUEUE_FULL', message: 'full' })
    expect(ranges.find(3)?.code).toBe('DROPPED')
    expect(ranges.find(4)?.code).toBe('QUEUE_FULL')
  })
})

describe('what tabs say', () => {
  const frames: Frame[] = [
    { t: 'hello', tab: 'a' },
    { t: 'ask', tab: 'a' },
    { t: 'send', term: 'x', tab: 'a', n: 1, base: 1, data: 'text', options: undefined },
    { t: 'send', term: 'x', tab: 'a', n: 1, base: 1, data: new ArrayBuffer(1), options: { ttl: 1 } },
    { t: 'open', term: 'x', tab: 'a', ns: [1, 2] },
    { t: 'bye', tab: 'a' },
    { t: 'lead', to: 'a', term: 'x' },
    { t: 'stored', to: 'a', n: 1 },
    { t: 'refused', to: 'a', n: 1, why: { code: 'DROPPED', message: 'no' } },
    { t: 'delivered', to: 'a', n: 1 },
    { t: 'dropped', to: 'a', n: 1, reason: 'overflow' },
    { t: 'doubt', to: 'a', n: 1, message: 'who knows' },
    { t: 'led', term: 'x' },
    { t: 'message', message: null },
    { t: 'status', stats: undefined },
    { t: 'here' },
    { t: 'wipe' },
  ]
  const envelope = (given: readonly unknown[]) => ({ v: 1, from: 'a', leads: false, frames: given })

  it('is understood as it is said', () => {
    expect(readEnvelope(structuredClone(envelope(frames)))).toEqual(envelope(frames))
  })

  it('is ignored when any field is missing or of another type', () => {
    for (const frame of frames)
      for (const field of Object.keys(frame)) {
        if (['message', 'stats', 'options'].includes(field) && frame.t !== 'doubt') continue
        for (const wrong of [undefined, null, -1, 1.5, {}, [-1]])
          expect(readEnvelope(envelope([{ ...frame, [field]: wrong }])), `${frame.t}.${field}`).toMatch(
            /shape/,
          )
      }
  })

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), (data) => {
        expect(typeof readEnvelope(data)).toBe('string')
        expect(typeof readEnvelope(envelope([data]))).toBe('string')
      }),
    )
  })

  it('names the version of its sender', () => {
    expect(isOfThisVersion(tabName('1234'))).toBe(true)
    expect(isOfThisVersion('1234')).toBe(false)
    expect(isOfThisVersion('v11-1234')).toBe(false)
    expect(readEnvelope({ ...envelope([]), v: 2 })).toMatch(/version 2/)
  })
})
