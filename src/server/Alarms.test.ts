import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { Alarms, type Sleeper } from './Alarms.ts'

class Noting implements Sleeper {
  alarmAt = Infinity
  alarmIndex = -1
  readonly woken: number[] = []
  readonly #then: ((now: number) => void) | undefined

  constructor(then?: (now: number) => void) {
    this.#then = then
  }

  wake(now: number): void {
    this.woken.push(now)
    this.#then?.(now)
  }
}

describe('alarms', () => {
  it('wake each sleeper at its time, with one timer', () => {
    const clock = new VirtualClock()
    const alarms = new Alarms(clock)
    const sleepers = [30, 10, 20, 10].map((at) => {
      const sleeper = new Noting()
      alarms.set(sleeper, at)
      return sleeper
    })
    expect(clock.pending).toBe(1)
    clock.advanceSync(10)
    expect(sleepers.map(({ woken }) => woken)).toEqual([[], [10], [], [10]])
    clock.advanceSync(100)
    expect(sleepers.map(({ woken }) => woken)).toEqual([[30], [10], [20], [10]])
    expect(clock.pending).toBe(0)
  })

  it('one that is moved is woken at its new time only, one that is withdrawn never', () => {
    const clock = new VirtualClock()
    const alarms = new Alarms(clock)
    const [later, sooner, never] = [new Noting(), new Noting(), new Noting()]
    for (const sleeper of [later, sooner, never]) alarms.set(sleeper, 10)
    alarms.set(later, 20)
    alarms.set(sooner, 5)
    alarms.set(never, Infinity)
    clock.advanceSync(100)
    expect([later.woken, sooner.woken, never.woken]).toEqual([[20], [5], []])
  })

  it('a sleeper may set its alarm while it is woken', () => {
    const clock = new VirtualClock()
    const alarms = new Alarms(clock)
    const again: Noting = new Noting((now) => now < 30 && alarms.set(again, now + 10))
    alarms.set(again, 10)
    clock.advanceSync(100)
    expect(again.woken).toEqual([10, 20, 30])
  })

  it('stop wakes nobody and leaves no timer', () => {
    const clock = new VirtualClock()
    const alarms = new Alarms(clock)
    const sleeper = new Noting()
    alarms.set(sleeper, 10)
    alarms.stop()
    expect(clock.pending).toBe(0)
    alarms.set(sleeper, 20)
    clock.advanceSync(100)
    expect(sleeper.woken).toEqual([20])
  })

  it('whatever is set, moved and withdrawn: each is woken when it is due, and once', () => {
    const deed = fc.tuple(fc.nat(7), fc.oneof(fc.nat(50), fc.constant(Infinity)), fc.nat(10))
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
        const clock = new VirtualClock()
        const alarms = new Alarms(clock)
        const sleepers = Array.from({ length: 8 }, () => new Noting())
        const due = new Array<number>(8).fill(Infinity)
        const expected = sleepers.map((): number[] => [])
        const pass = (ms: number) => {
          const end = clock.now() + ms
          for (const [index, at] of due.entries()) {
            if (at > end) continue
            expected[index]?.push(at)
            due[index] = Infinity
          }
          clock.advanceSync(ms)
        }
        for (const [index, after, ms] of deeds) {
          const at = clock.now() + after
          due[index] = at
          alarms.set(sleepers[index] as Noting, at)
          pass(ms)
        }
        pass(1000)
        expect(sleepers.map(({ woken }) => woken)).toEqual(expected)
        expect(clock.pending).toBe(0)
      }),
    )
  })
})
