import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AbortError, CircuitBreakerError } from '../../core/errors.ts'
import type { Outcome } from '../../core/outcome.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { BreakerMachine, REFUSED } from './breakerMachine.ts'
import { CircuitBreaker } from './CircuitBreaker.ts'
import { type CircuitBreakerOptions, resolveCircuitBreakerOptions } from './options.ts'

function setUp(options: CircuitBreakerOptions = {}) {
  const changes: string[] = []
  const machine = new BreakerMachine(resolveCircuitBreakerOptions(options), (to, reason) =>
    changes.push(`${to} ${reason}`),
  )
  /** One attempt that ends at once; returns whether it was let through. */
  const attempt = (outcome: Outcome, now: number, durationMs = 0): boolean => {
    const permit = machine.acquire(now)
    if (permit === REFUSED) return false
    machine.record(permit, outcome, now, durationMs)
    return true
  }
  const fail = (times: number, now: number) => {
    for (let time = 0; time < times; time += 1) attempt('failure', now)
  }
  return { machine, changes, attempt, fail }
}

describe('BreakerMachine', () => {
  it('opens on consecutive failures once the window holds the volume', () => {
    const { machine, attempt, fail } = setUp()
    fail(9, 0)
    expect(machine.state).toBe('CLOSED')
    attempt('failure', 0)
    expect(machine.state).toBe('OPEN')
    expect(machine.acquire(59_999)).toBe(REFUSED)
    expect(machine.retryAfter(59_999)).toBe(1)
  })

  it('opens on the failure rate although successes lie between', () => {
    const { machine, attempt, changes } = setUp()
    for (let call = 0; call < 20; call += 1) attempt(call % 2 ? 'failure' : 'success', call)
    expect(machine.state).toBe('OPEN')
    expect(changes).toEqual(['OPEN failure-rate'])
  })

  it('stays closed below the rate', () => {
    const { machine, attempt } = setUp()
    for (let call = 0; call < 300; call += 1) attempt(call % 3 === 0 ? 'failure' : 'success', call)
    expect(machine.state).toBe('CLOSED')
  })

  it('after an hour of silence one failure does not open it: every expired slice is dropped', () => {
    const { machine, attempt, fail } = setUp({ threshold: 100, failureRate: 1 })
    attempt('success', 0)
    fail(20, 10)
    attempt('failure', 3_600_000)
    expect(machine.requestCount(3_600_000)).toBe(1)
    expect(machine.state).toBe('CLOSED')
  })

  it('closes again when its probe succeeds, and counts from nothing', () => {
    const { machine, attempt, fail, changes } = setUp()
    fail(10, 0)
    expect(attempt('success', 60_000)).toBe(true)
    expect(changes).toEqual([
      'OPEN consecutive-failures',
      'HALF_OPEN open-time-over',
      'CLOSED probes-succeeded',
    ])
    expect(machine.requestCount(60_000)).toBe(0)
  })

  it('lets only its probes through while half-open and rejects the rest at once', () => {
    const { machine, fail } = setUp({ halfOpenRequests: 2 })
    fail(10, 0)
    const probes = [machine.acquire(60_000), machine.acquire(60_000), machine.acquire(60_000)]
    expect(probes.map((permit) => permit !== REFUSED)).toEqual([true, true, false])
    machine.record(probes[0]!, 'success', 60_001, 1)
    expect(machine.state).toBe('HALF_OPEN')
    machine.record(probes[1]!, 'success', 60_002, 1)
    expect(machine.state).toBe('CLOSED')
  })

  it('gives the permit of an aborted probe back: it is not stuck half-open', () => {
    const { machine, fail, attempt } = setUp()
    fail(10, 0)
    machine.record(machine.acquire(60_000), 'ignored', 60_001, 1)
    expect(machine.state).toBe('HALF_OPEN')
    expect(attempt('success', 60_002)).toBe(true)
    expect(machine.state).toBe('CLOSED')
  })

  it('counts a probe that never settles as failed once its time is over', () => {
    const { machine, fail, changes } = setUp()
    fail(10, 0)
    expect(machine.acquire(60_000, 12_000)).not.toBe(REFUSED)
    expect(machine.acquire(71_999)).toBe(REFUSED)
    expect(machine.acquire(72_000)).toBe(REFUSED)
    expect(changes.at(-1)).toBe('OPEN probe-expired')
    expect(machine.acquire(132_000)).not.toBe(REFUSED)
  })

  it('ignores results of calls that began before it changed state', () => {
    const { machine, fail } = setUp()
    const old = [machine.acquire(0), machine.acquire(0), machine.acquire(0)]
    fail(10, 1)
    const openedUntil = machine.nextAttemptAt
    machine.record(old[0]!, 'failure', 30_000, 30_000)
    expect(machine.nextAttemptAt).toBe(openedUntil)
    machine.acquire(60_001)
    machine.record(old[1]!, 'success', 60_002, 1)
    expect(machine.state).toBe('HALF_OPEN')
    machine.record(old[2]!, 'failure', 60_003, 1)
    expect(machine.state).toBe('HALF_OPEN')
  })

  it('opens for longer each time a probe fails, up to maxTimeout', () => {
    const { machine, fail, attempt } = setUp({ timeout: 1000, maxTimeout: 3000 })
    fail(10, 0)
    expect(machine.nextAttemptAt).toBe(1000)
    attempt('failure', 1000)
    expect(machine.nextAttemptAt).toBe(3000)
    attempt('failure', 3000)
    expect(machine.nextAttemptAt).toBe(6000)
    attempt('success', 6000)
    fail(10, 6000)
    expect(machine.nextAttemptAt).toBe(7000)
  })

  it('opens when too many calls are slow', () => {
    const { machine, attempt } = setUp({ slowCallDuration: 100, slowCallRate: 0.5 })
    for (let call = 0; call < 10; call += 1) attempt('success', call, call % 2 ? 200 : 50)
    expect(machine.state).toBe('OPEN')
  })

  it('isolated, it lets nothing through until it is reset', () => {
    const { machine, attempt } = setUp()
    machine.isolate()
    expect(attempt('success', 1e9)).toBe(false)
    machine.reset()
    expect(attempt('success', 1e9)).toBe(true)
  })

  it('that is closed goes on with the counts of a snapshot', () => {
    const options = resolveCircuitBreakerOptions({ threshold: 3, volumeThreshold: 4, failureRate: 1 })
    const one = new BreakerMachine(options)
    const run = (machine: BreakerMachine, outcome: Outcome, now: number) =>
      machine.record(machine.acquire(now), outcome, now, 1)
    expect(one.snapshot(0)).toEqual({ state: 'CLOSED', remainingMs: 0, openings: 0 })
    for (const outcome of ['success', 'failure', 'failure'] as const) run(one, outcome, 1000)
    const snapshot = one.snapshot(2000)
    expect(snapshot.counts).toEqual({ calls: 3, failed: 2, slow: 0, consecutive: 2 })
    const other = new BreakerMachine(options)
    other.restore(snapshot, 900_000)
    expect([other.requestCount(900_000), other.failureCount(900_000)]).toEqual([3, 2])
    run(other, 'failure', 900_001)
    expect(other.state).toBe('OPEN')
    // What is past is past: the window has gone by.
    const third = new BreakerMachine(options)
    third.restore(one.snapshot(200_000), 0)
    expect(third.requestCount(0)).toBe(0)
  })

  it('goes on from a snapshot', () => {
    const { machine, fail } = setUp()
    fail(10, 0)
    const other = setUp().machine
    other.restore(machine.snapshot(20_000), 500_000)
    expect(other.state).toBe('OPEN')
    expect(other.nextAttemptAt).toBe(540_000)
  })

  it('never has more probes out than it may, whatever happens in whatever order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(
          fc.oneof(
            fc.record({ kind: fc.constant('acquire' as const), gap: fc.integer({ min: 0, max: 40_000 }) }),
            fc.record({
              kind: fc.constant('settle' as const),
              which: fc.nat(),
              outcome: fc.constantFrom<Outcome>('success', 'failure', 'ignored'),
            }),
          ),
          { maxLength: 200 },
        ),
        (halfOpenRequests, steps) => {
          const { machine } = setUp({ halfOpenRequests, volumeThreshold: 2, threshold: 2 })
          let now = 0
          const running: number[] = []
          for (const step of steps) {
            if (step.kind === 'acquire') {
              now += step.gap
              const permit = machine.acquire(now)
              if (permit !== REFUSED) running.push(permit)
            } else if (running.length) {
              const [permit] = running.splice(step.which % running.length, 1)
              machine.record(permit!, step.outcome, now, 0)
            }
            if (machine.state === 'HALF_OPEN') {
              expect(running.filter((permit) => machine.isProbe(permit)).length).toBeLessThanOrEqual(
                halfOpenRequests,
              )
            }
          }
        },
      ),
    )
  })
})

describe('CircuitBreaker', () => {
  const down = () => {
    throw new Error('down')
  }

  it('refuses without calling, says for how long, and recovers', async () => {
    const clock = new VirtualClock()
    const breaker = new CircuitBreaker({ clock, threshold: 2, volumeThreshold: 2, timeout: 1000 })
    await expect(breaker.execute(down)).rejects.toThrow('down')
    await expect(breaker.execute(down)).rejects.toThrow('down')
    let called = false
    const refused = await breaker
      .execute(() => {
        called = true
      })
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(CircuitBreakerError)
    expect(refused).toMatchObject({ retryAfter: 1000, code: 'CIRCUIT_OPEN' })
    expect((refused as Error).message).toContain('Circuit breaker is OPEN')
    expect(called).toBe(false)
    expect(breaker.getState().nextAttempt).toBe(clock.wallNow() + 1000)
    await clock.advance(1000)
    expect(await breaker.execute(() => 'back')).toBe('back')
    expect(breaker.getState()).toEqual({
      state: 'CLOSED',
      failureCount: 0,
      requestCount: 0,
      nextAttempt: null,
    })
  })

  it('does not count an abort', async () => {
    const breaker = new CircuitBreaker({ threshold: 1, volumeThreshold: 1 })
    await breaker
      .execute(() => {
        throw new AbortError('aborted')
      })
      .catch(() => {})
    expect(breaker.getState()).toMatchObject({ state: 'CLOSED', requestCount: 0 })
  })

  it('takes changed options at once, and checks them', async () => {
    const breaker = new CircuitBreaker({ volumeThreshold: 1, threshold: 5 })
    breaker.options.threshold = 1
    await breaker.execute(down).catch(() => {})
    expect(breaker.state).toBe('OPEN')
    expect(() => {
      breaker.options.threshold = -1
    }).toThrow(/CircuitBreaker: option "threshold" must be a whole number >= 1, got -1/)
  })
})
