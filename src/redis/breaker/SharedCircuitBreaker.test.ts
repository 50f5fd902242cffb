import { describe, expect, it, vi } from 'vitest'
import { FakeBreakerEngine } from '../../../tests/support/fakeBreakerEngine.ts'
import { ApiError } from '../../core/errors.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { SharedCircuitBreaker, type SharedCircuitBreakerOptions } from './SharedCircuitBreaker.ts'

/** A backend and a fleet that asks it; the backend's answers are counted. */
async function fleet(size: number, given: Partial<SharedCircuitBreakerOptions> = {}) {
  const clock = new VirtualClock()
  const engine = new FakeBreakerEngine(clock)
  const backend = { up: true, calls: 0, takesMs: 10 }
  const changes: string[] = []
  const breakers = Array.from(
    { length: size },
    (_, index) =>
      new SharedCircuitBreaker({
        engine: engine.connect(),
        name: 'backend',
        threshold: 3,
        volumeThreshold: 3,
        timeout: 1000,
        probeTimeout: 2000,
        clock,
        onChange: (to, reason) => changes.push(`${index} ${to} ${reason}`),
        ...given,
      }),
  )
  const call = (index: number): Promise<string> =>
    (breakers[index] as SharedCircuitBreaker)
      .execute(
        () =>
          new Promise<void>((resolve, reject) => {
            backend.calls += 1
            clock.setTimeout(() => (backend.up ? resolve() : reject(new Error('down'))), backend.takesMs)
          }),
      )
      .then(
        () => 'ok',
        (error: Error) => error.name,
      )
  /** All of them call at once, time passes, and this is what they got. */
  const everyone = async (ms = 50): Promise<string[]> => {
    const calls = Promise.all(breakers.map((_, index) => call(index)))
    await clock.advance(ms)
    return calls
  }
  const states = () => breakers.map(({ state }) => state)
  await clock.advance(10)
  return { clock, engine, backend, changes, breakers, call, everyone, states }
}

/** The first process alone sees the backend fail, until it opens. */
async function openIt({ backend, call, clock }: Awaited<ReturnType<typeof fleet>>): Promise<void> {
  backend.up = false
  for (let failure = 0; failure < 3; failure += 1) {
    const failed = call(0)
    await clock.advance(backend.takesMs)
    expect(await failed).toBe('Error')
  }
}

const all = (size: number, state: string) => Array.from({ length: size }, () => state)

describe('a breaker that a fleet shares', () => {
  it('what one process learns, all know two ways of the network later', async () => {
    const world = await fleet(5)
    await openIt(world)
    await world.clock.advance(3)
    expect(world.states()).toEqual(all(5, 'OPEN'))
    const calls = world.backend.calls
    expect(await world.everyone()).toEqual(all(5, 'CircuitBreakerError'))
    expect(world.backend.calls).toBe(calls)
  })

  it('one of them probes; its success closes it for all', async () => {
    const world = await fleet(5)
    await openIt(world)
    await world.clock.advance(1100)
    world.backend.up = true
    const calls = world.backend.calls
    expect((await world.everyone()).filter((outcome) => outcome === 'ok')).toHaveLength(1)
    expect(world.backend.calls).toBe(calls + 1)
    expect(world.states()).toEqual(all(5, 'CLOSED'))
    expect(await world.everyone()).toEqual(all(5, 'ok'))
  })

  it('a probe that fails keeps it open for all, for as long again', async () => {
    const world = await fleet(5)
    await openIt(world)
    await world.clock.advance(1100)
    const calls = world.backend.calls
    await world.everyone()
    expect(world.backend.calls).toBe(calls + 1)
    await world.clock.advance(800)
    expect(await world.everyone()).toEqual(all(5, 'CircuitBreakerError'))
    expect(world.backend.calls).toBe(calls + 1)
    await world.clock.advance(300)
    await world.everyone()
    expect(world.backend.calls).toBe(calls + 2)
  })

  it('a probe that hangs gives way to another after its time', async () => {
    const world = await fleet(3)
    await openIt(world)
    await world.clock.advance(1100)
    world.backend.takesMs = 1_000_000
    const calls = world.backend.calls
    await world.clock.advance(0)
    void world.call(0)
    await world.clock.advance(1000)
    void world.call(1)
    void world.call(2)
    await world.clock.advance(100)
    expect(world.backend.calls).toBe(calls + 1)
    await world.clock.advance(2000)
    void world.call(1)
    await world.clock.advance(10)
    expect(world.backend.calls).toBe(calls + 2)
  })

  it('needs as many successes as it is told to', async () => {
    const world = await fleet(4, { halfOpenRequests: 2 })
    await openIt(world)
    await world.clock.advance(1100)
    world.backend.up = true
    const calls = world.backend.calls
    await world.everyone()
    expect(world.states()).not.toEqual(all(4, 'CLOSED'))
    await world.everyone()
    expect(world.backend.calls).toBe(calls + 2)
    expect(world.states()).toEqual(all(4, 'CLOSED'))
  })

  it('without the engine each goes on alone, and tells what it has learned when the engine is back', async () => {
    const told: unknown[] = []
    const world = await fleet(3, { onEngine: (error) => told.push(error?.reason) })
    world.engine.fall()
    await openIt(world)
    await world.clock.advance(10)
    expect(world.breakers[0]?.isAlone).toBe(true)
    expect(world.states()).toEqual(['OPEN', 'CLOSED', 'CLOSED'])
    world.engine.rise()
    await world.clock.advance(20)
    expect(world.states()).toEqual(all(3, 'OPEN'))
    expect(told.slice(0, 2)).toEqual([undefined, undefined])
    expect(told).toContain('unreachable')
    // Alone it probes by itself as well.
    world.engine.fall()
    await world.clock.advance(6000)
    world.backend.up = true
    const probe = world.call(0)
    await world.clock.advance(600)
    expect(await probe).toBe('ok')
    expect(world.states()[0]).toBe('CLOSED')
  })

  it('an engine that has forgotten is told again, and nobody rushes in', async () => {
    const world = await fleet(3, { timeout: 20_000 })
    await openIt(world)
    await world.clock.advance(10)
    world.engine.forget()
    await world.clock.advance(6000)
    expect(world.states()).toEqual(all(3, 'OPEN'))
    world.engine.forget()
    await world.clock.advance(15_000)
    world.backend.up = true
    const calls = world.backend.calls
    await world.everyone()
    expect(world.backend.calls).toBe(calls + 1)
  })

  it('a message that was lost is made up for by looking', async () => {
    const world = await fleet(2)
    world.engine.publishes = false
    void world.breakers[0]?.isolate()
    await world.clock.advance(100)
    expect(world.states()).toEqual(['OPEN', 'CLOSED'])
    await world.clock.advance(5000)
    expect(world.states()).toEqual(all(2, 'OPEN'))
  })

  it('held open and closed by hand, for all', async () => {
    const world = await fleet(3)
    void world.breakers[1]?.isolate()
    await world.clock.advance(5)
    expect(world.states()).toEqual(all(3, 'OPEN'))
    await world.clock.advance(100_000)
    expect(await world.everyone()).toEqual(all(3, 'CircuitBreakerError'))
    void world.breakers[2]?.reset()
    await world.clock.advance(5)
    expect(world.states()).toEqual(all(3, 'CLOSED'))
  })

  it('tells of each change once, and why', async () => {
    const world = await fleet(2)
    await openIt(world)
    await world.clock.advance(1100)
    world.backend.up = true
    await world.everyone()
    await world.clock.advance(20_000)
    expect(world.changes.filter((change) => change.startsWith('0'))).toEqual([
      '0 OPEN consecutive-failures',
      '0 HALF_OPEN open-time-over',
      '0 CLOSED probes-succeeded',
    ])
    expect(world.changes.filter((change) => change.startsWith('1'))).toEqual([
      '1 OPEN restored',
      '1 CLOSED restored',
    ])
  })

  it('answers below 500 are successes, refusals and aborts count as nothing', async () => {
    const { breakers } = await fleet(1)
    const [breaker] = breakers as [SharedCircuitBreaker]
    const failWith = (error: Error) => breaker.execute(() => Promise.reject(error)).catch(() => {})
    const status = (code: number) => new ApiError('x', { status: code, body: '', headers: {}, url: '' })
    for (let call = 0; call < 5; call += 1) {
      await failWith(status(404))
      await failWith(Object.assign(new Error(), { name: 'AbortError' }))
    }
    expect(breaker.getState()).toMatchObject({ state: 'CLOSED', requestCount: 5, failureCount: 0 })
    for (let call = 0; call < 3; call += 1) await failWith(status(503))
    expect(breaker.state).toBe('OPEN')
  })

  it('a listener that throws does no harm', async () => {
    const told = vi.spyOn(console, 'error').mockImplementation(() => {})
    const world = await fleet(2, {
      onChange: () => {
        throw new Error('of the app')
      },
    })
    await openIt(world)
    await world.clock.advance(5)
    expect(world.states()).toEqual(all(2, 'OPEN'))
    expect(told).toHaveBeenCalledTimes(2)
    told.mockRestore()
  })

  it('ends without a trace', async () => {
    const { clock, breakers } = await fleet(2)
    for (const breaker of breakers) await breaker.close()
    await clock.advance(10_000)
    expect(clock.pending).toBe(0)
  })

  it('refuses wrong options by name', () => {
    const engine = new FakeBreakerEngine(new VirtualClock()).connect()
    expect(() => new SharedCircuitBreaker({ engine: {} as never, name: 'x' })).toThrow(/"engine"/)
    expect(() => new SharedCircuitBreaker({ engine, name: '' })).toThrow(/"name"/)
    expect(() => new SharedCircuitBreaker({ engine, name: 'x', threshold: 0 })).toThrow(/"threshold"/)
    expect(() => new SharedCircuitBreaker({ engine, name: 'x', engineTimeout: 0 })).toThrow(/"engineTimeout"/)
  })
})
