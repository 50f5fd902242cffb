import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLOSE_TIMEOUT_MS, ConnectionMachine, type LineEvent, type LineOptions } from './machine.ts'

const options: LineOptions = {
  reconnectDelay: 2000,
  maxReconnectAttempts: Number.POSITIVE_INFINITY,
  jitter: 0,
  shouldReconnect: undefined,
  connectTimeout: 10_000,
  stableAfter: 5000,
  healthInterval: 5000,
  healthUrl: '/v1/health',
}
const cut = { code: 1006, reason: '', wasClean: false }

function setUp(change: Partial<LineOptions> = {}, random = () => 0.5) {
  const machine = new ConnectionMachine({ ...options, ...change }, random)
  const step = (event: LineEvent, now: number) =>
    machine.step(event, now).map((effect) => ('name' in effect ? effect.name : effect.do))
  return { machine, step }
}

describe('the life of a line', () => {
  it('connects, opens, is lost, waits, tries again', () => {
    const { machine, step } = setUp()
    expect(step({ type: 'connect' }, 0)).toEqual(['attempt'])
    expect(step({ type: 'opened' }, 10)).toEqual([])
    expect(step({ type: 'ended', close: cut }, 20)).toEqual(['drop', 'close', 'reconnecting'])
    expect(machine.state).toMatchObject({ kind: 'waiting', dueAt: 2020, pollAt: 2520 })
    expect(step({ type: 'wake' }, 2019)).toEqual([])
    expect(step({ type: 'wake' }, 2020)).toEqual(['stopPoll', 'attempt'])
    expect(machine.state.kind).toBe('connecting')
  })

  it('an attempt that takes too long is dropped with an error and counts as lost', () => {
    const { machine, step } = setUp()
    step({ type: 'connect' }, 0)
    const [effect] = machine.step({ type: 'wake' }, 10_000)
    if (effect?.do !== 'expire') return expect.unreachable()
    expect(effect.error).toMatchObject({ code: 'TIMEOUT' })
    expect(step({ type: 'ended', close: effect.close, error: effect.error }, 10_000)).toEqual([
      'drop',
      'error',
      'close',
      'reconnecting',
    ])
    expect(machine.state.kind).toBe('waiting')
  })

  it('a shouldReconnect that throws is reported, and the decision of the session holds', () => {
    const { machine, step } = setUp({
      shouldReconnect: () => {
        throw new Error('the app failed')
      },
    })
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 10)
    const decision = { action: 'backoff', notBefore: 9000 } as const
    expect(step({ type: 'ended', close: cut, decision }, 20)).toEqual([
      'drop',
      'error',
      'close',
      'reconnecting',
    ])
    expect(machine.state).toMatchObject({ kind: 'waiting', dueAt: 9000 })
  })

  it('the delay doubles from attempt to attempt, up to 30 s, and starts anew after a stable line', () => {
    const { machine, step } = setUp({ healthUrl: false })
    let now = 0
    step({ type: 'connect' }, now)
    const delays: number[] = []
    for (let attempt = 0; attempt < 7; attempt += 1) {
      step({ type: 'ended', close: cut }, now)
      delays.push(machine.wakeAt - now)
      now = machine.wakeAt
      step({ type: 'wake' }, now)
    }
    expect(delays).toEqual([2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    step({ type: 'opened' }, now)
    expect(machine.attempts).toBe(7)
    step({ type: 'wake' }, now + 5000)
    expect(machine.attempts).toBe(0)
  })

  it('a line that was never heard from does not start the count anew before stableAfter', () => {
    const { machine, step } = setUp({ healthUrl: false })
    step({ type: 'connect' }, 0)
    step({ type: 'ended', close: cut }, 0)
    step({ type: 'wake' }, 2000)
    step({ type: 'opened' }, 2000)
    step({ type: 'ended', close: cut }, 6999)
    expect(machine.attempts).toBe(1)
  })

  it('closed with 1000 by the server it stays closed, and says so', () => {
    const { machine, step } = setUp()
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 0)
    const goodbye = { code: 1000, reason: 'done', wasClean: true }
    const effects = machine.step({ type: 'ended', close: goodbye }, 1)
    expect(effects.map((effect) => ('name' in effect ? effect.name : effect.do))).toEqual([
      'drop',
      'error',
      'close',
    ])
    expect(effects[1]).toMatchObject({ event: { code: 'CLOSED_BY_SERVER' } })
    expect(machine.state.kind).toBe('closed')
  })

  it.each([1000, 1001, 1006, 4001])('shouldReconnect decides about %i', (code) => {
    for (const says of [true, false]) {
      const asked: number[] = []
      const shouldReconnect = (close: { code: number }) => {
        asked.push(close.code)
        return says
      }
      const { machine, step } = setUp({ shouldReconnect })
      step({ type: 'connect' }, 0)
      step({ type: 'opened' }, 0)
      const told = step({ type: 'ended', close: { code, reason: '', wasClean: true } }, 1)
      expect(asked).toEqual([code])
      expect(told).toEqual(says ? ['drop', 'close', 'reconnecting'] : ['drop', 'close'])
      expect(machine.state.kind).toBe(says ? 'waiting' : 'closed')
    }
  })

  it.each([1000, 1006])('shouldReconnect that throws is reported, and %i is taken as without it', (code) => {
    const { machine, step } = setUp({
      shouldReconnect: () => {
        throw new Error('of the app')
      },
    })
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 0)
    const told = step({ type: 'ended', close: { code, reason: '', wasClean: true } }, 1)
    const errors = code === 1000 ? ['error', 'error'] : ['error']
    expect(told.slice(0, -1)).toEqual(['drop', ...errors, 'close'].slice(0, told.length - 1))
    expect(machine.state.kind).toBe(code === 1000 ? 'closed' : 'waiting')
  })

  it('a 1000 that the app asked for is no error, and nobody is asked about it', () => {
    const { machine, step } = setUp({ shouldReconnect: () => expect.unreachable() })
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 0)
    step({ type: 'close', code: 1000, reason: '' }, 1)
    const close = { code: 1000, reason: '', wasClean: true }
    expect(step({ type: 'ended', close }, 2)).toEqual(['drop', 'close'])
    expect(machine.state.kind).toBe('closed')
  })

  it('gives up after maxReconnectAttempts, and a manual attempt starts from nothing', () => {
    const { machine, step } = setUp({ maxReconnectAttempts: 1, healthUrl: false })
    step({ type: 'connect' }, 0)
    step({ type: 'ended', close: cut }, 0)
    step({ type: 'wake' }, 2000)
    expect(step({ type: 'ended', close: cut }, 2001)).toEqual(['drop', 'close', 'max_reconnect_attempts'])
    expect(machine.state.kind).toBe('failed')
    expect(step({ type: 'connect' }, 3000)).toEqual(['attempt'])
    expect(machine.attempts).toBe(0)
  })

  it('closing waits for the answer of the other side, for so long', () => {
    const { machine, step } = setUp()
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 0)
    expect(step({ type: 'close', code: 1000, reason: '' }, 1)).toEqual(['closeSocket'])
    expect(step({ type: 'wake' }, 1 + CLOSE_TIMEOUT_MS)).toEqual(['drop', 'error', 'close'])
    expect(machine.state.kind).toBe('closed')
  })

  it.each(['idle', 'connecting', 'open', 'waiting'])(
    'dispose from %s leaves nothing to wake for',
    (state) => {
      const { machine, step } = setUp()
      if (state !== 'idle') step({ type: 'connect' }, 0)
      if (state === 'open') step({ type: 'opened' }, 0)
      if (state === 'waiting') step({ type: 'ended', close: cut }, 0)
      expect(machine.state.kind).toBe(state)
      step({ type: 'dispose' }, 1)
      expect(machine.wakeAt).toBe(Number.POSITIVE_INFINITY)
      expect(step({ type: 'connect' }, 2)).toEqual([])
    },
  )
})

describe('the health poll', () => {
  it('a healthy answer starts the attempt at once; the next poll comes an interval later', () => {
    const { machine, step } = setUp()
    step({ type: 'connect' }, 0)
    step({ type: 'opened' }, 0)
    step({ type: 'ended', close: cut }, 0)
    step({ type: 'pollNow' }, 100)
    expect(step({ type: 'health', healthy: false }, 150)).toEqual([])
    expect(machine.state).toMatchObject({ pollAt: 5150 })
    step({ type: 'pollNow' }, 200)
    expect(step({ type: 'health', healthy: true }, 250)).toEqual(['stopPoll', 'attempt'])
  })

  it('a refused upgrade after a healthy answer backs off: health is not believed again until it has said no', () => {
    const { machine, step } = setUp()
    step({ type: 'connect' }, 0)
    step({ type: 'ended', close: cut }, 0)
    step({ type: 'pollNow' }, 1)
    step({ type: 'health', healthy: true }, 2)
    step({ type: 'ended', close: cut }, 3)
    step({ type: 'pollNow' }, 4)
    expect(step({ type: 'health', healthy: true }, 5)).toEqual([])
    expect(machine.state.kind).toBe('waiting')
    step({ type: 'pollNow' }, 6)
    step({ type: 'health', healthy: false }, 7)
    step({ type: 'pollNow' }, 8)
    expect(step({ type: 'health', healthy: true }, 9)).toEqual(['stopPoll', 'attempt'])
  })

  it('a poll that is not answered in time has failed, and the next comes an interval later', () => {
    const { machine, step } = setUp({ healthInterval: 300, reconnectDelay: 60_000 })
    step({ type: 'connect' }, 0)
    step({ type: 'ended', close: cut }, 0)
    expect(machine.wakeAt).toBe(150)
    expect(step({ type: 'wake' }, 150)).toEqual(['poll'])
    expect(step({ type: 'wake' }, 449)).toEqual([])
    expect(step({ type: 'wake' }, 450)).toEqual(['stopPoll'])
    expect(machine.state).toMatchObject({ kind: 'waiting', polling: false, pollAt: 750 })
    expect(step({ type: 'health', healthy: true }, 460)).toEqual([])
  })

  it('a late answer to a poll of another wait changes nothing', () => {
    const { step } = setUp()
    step({ type: 'connect' }, 0)
    expect(step({ type: 'health', healthy: true }, 1)).toEqual([])
  })
})

describe('whatever happens in whatever order', () => {
  const event: fc.Arbitrary<LineEvent> = fc.constantFrom<LineEvent>(
    { type: 'connect' },
    { type: 'opened' },
    { type: 'ended', close: cut },
    { type: 'ended', close: { code: 1000, reason: '', wasClean: true } },
    { type: 'health', healthy: true },
    { type: 'health', healthy: false },
    { type: 'pollNow' },
    { type: 'hint' },
    { type: 'close', code: 1000, reason: '' },
    { type: 'wake' },
  )

  it('there is at most one attempt or socket, each is dropped before the next, and none starts while one is open', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ event, gap: fc.nat(6000) }), { maxLength: 120 }), (steps) => {
        const { machine } = setUp()
        let now = 0
        let held = 0
        for (const { event: next, gap } of steps) {
          now += gap
          for (const effect of machine.step(next, now)) {
            if (effect.do === 'attempt') held += 1
            if (effect.do === 'drop') held = Math.max(0, held - 1)
            expect(held).toBeLessThanOrEqual(1)
          }
          const { kind } = machine.state
          expect(held).toBe(kind === 'connecting' || kind === 'open' || kind === 'closing' ? 1 : 0)
        }
      }),
    )
  })
})
