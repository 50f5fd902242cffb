// Lines that work and are cut again and again, in virtual time: the machine alone, a server made of chance.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConnectionMachine, type LineOptions } from './machine.ts'

const defaults: LineOptions = {
  reconnectDelay: 2000,
  maxReconnectAttempts: Number.POSITIVE_INFINITY,
  jitter: 0.75,
  shouldReconnect: undefined,
  connectTimeout: 10_000,
  stableAfter: 5000,
  healthInterval: 5000,
  healthUrl: '/v1/health',
}

/** How one line goes: how long it takes to open (`Infinity`: refused), lives, and whether it is heard from. */
interface Life {
  readonly opensAfter: number
  readonly lives: number
  readonly heard: boolean
}

interface Server {
  readonly lines: readonly Life[]
  /** What the health address says. */
  readonly healthy: boolean
}

/** A generator of chance of its own (mulberry32), so that a seed says everything. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const cut = { code: 1006, reason: '', wasClean: false }
const POLL_TAKES = 20

/** Runs the machine against the server's lines; returns how long it waited after each of them. */
function waits({ lines, healthy }: Server, change: Partial<LineOptions> = {}, seed = 1): number[] {
  const random = chance(seed)
  const machine = new ConnectionMachine({ ...defaults, ...change }, random)
  const found: number[] = []
  let now = 0
  machine.step({ type: 'connect' }, now)
  for (const { opensAfter, lives, heard } of lines) {
    if (opensAfter === Infinity) now += 5
    else {
      now += opensAfter
      machine.step({ type: 'opened' }, now)
      const end = now + lives
      if (machine.wakeAt <= end) machine.step({ type: 'wake' }, machine.wakeAt)
      now = end
    }
    machine.step({ type: 'ended', close: cut, heard }, now)
    const from = now
    while (machine.state.kind === 'waiting') {
      const { polling } = machine.state
      const answerAt = polling ? now + POLL_TAKES : Infinity
      now = Math.min(machine.wakeAt, answerAt)
      machine.step(now === answerAt ? { type: 'health', healthy } : { type: 'wake' }, now)
    }
    expect(machine.state.kind).toBe('connecting')
    // Times are sums of fractions: what the last digits of a double say is not of interest.
    found.push(Math.round((now - from) * 1e6) / 1e6)
  }
  return found
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] as number

const young = fc.record({
  opensAfter: fc.integer({ min: 1, max: 500 }),
  lives: fc.integer({ min: 1000, max: 4000 }),
  heard: fc.constant(true),
})
const seed = fc.integer()

describe('lines that work and are cut young', () => {
  it('20 in a row are never away for longer than 5 s', () => {
    fc.assert(
      fc.property(
        fc.array(young, { minLength: 20, maxLength: 60 }),
        fc.boolean(),
        seed,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 10, max: 5000 }),
        (lines, healthy, from, jitter, reconnectDelay) => {
          const away = waits({ lines, healthy }, { jitter, reconnectDelay }, from)
          expect(Math.max(...away)).toBeLessThanOrEqual(5000)
        },
      ),
    )
  })

  it.each([
    ['a health address that answers', { healthy: true }, {}],
    ['one that says no', { healthy: false }, {}],
    ['none', { healthy: false }, { healthUrl: false as const }],
  ])('20 in a row are back within twice reconnectDelay at the median: %s', (name, server, change) => {
    const away: number[] = []
    for (let life = 0; life < 500; life += 1) {
      const random = chance(life * 7919 + 1)
      const lines = Array.from({ length: 20 }, () => ({
        opensAfter: 50,
        lives: 1000 + 3000 * random(),
        heard: true,
      }))
      away.push(...waits({ ...server, lines }, change, life))
    }
    console.info(`${name}: median ${Math.round(median(away))} ms, most ${Math.round(Math.max(...away))} ms`)
    expect(median(away)).toBeLessThanOrEqual(2 * defaults.reconnectDelay)
    expect(Math.max(...away)).toBeLessThanOrEqual(5000)
  })

  it('four in a row double the delay, 5 s at the most, and a stable line ends that', () => {
    const life: Life = { opensAfter: 10, lives: 1000, heard: true }
    const lines = [...Array.from({ length: 12 }, () => life), { ...life, lives: 6000 }, life]
    const away = waits({ lines, healthy: false }, { jitter: 0, healthUrl: false, reconnectDelay: 1000 })
    const rounded = away.map((wait) => Math.round(wait))
    expect(rounded.slice(0, 12)).toEqual([
      1189, 1414, 1682, 2000, 2378, 2828, 3364, 4000, 4757, 5000, 5000, 5000,
    ])
    expect(rounded.slice(12)).toEqual([1000, 1189])
  })

  it('a reconnectDelay of more than 5 s is kept', () => {
    const life: Life = { opensAfter: 10, lives: 1000, heard: true }
    const lines = Array.from({ length: 8 }, () => life)
    const away = waits({ lines, healthy: false }, { jitter: 0, healthUrl: false, reconnectDelay: 8000 })
    expect(new Set(away)).toEqual(new Set([8000]))
  })
})

describe('lines that do not work', () => {
  const dead = fc.record({
    opensAfter: fc.constantFrom(10, Infinity),
    lives: fc.integer({ min: 0, max: 4999 }),
    heard: fc.constant(false),
  })

  it('a server that accepts and closes at once, or refuses, meets the whole exponential', () => {
    fc.assert(
      fc.property(fc.array(dead, { minLength: 1, maxLength: 20 }), (lines) => {
        const away = waits({ lines, healthy: false }, { jitter: 0, healthUrl: false })
        expect(away).toEqual(away.map((_, attempt) => Math.min(30_000, 2000 * 2 ** attempt)))
      }),
    )
  })

  it('a healthy answer before such lines is believed once', () => {
    const line: Life = { opensAfter: 10, lives: 10, heard: false }
    const lines = Array.from({ length: 8 }, () => line)
    const away = waits({ lines, healthy: true }, { jitter: 0 })
    expect(away[0]).toBeLessThan(5100)
    expect(away.slice(4)).toEqual([30_000, 30_000, 30_000, 30_000])
  })
})

describe('whatever lines come one after another', () => {
  const any: fc.Arbitrary<Life> = fc.record({
    opensAfter: fc.constantFrom(1, 300, 9000, Infinity),
    lives: fc.integer({ min: 0, max: 8000 }),
    heard: fc.boolean(),
  })

  it('waits are bounded by what the latest line was', () => {
    fc.assert(
      fc.property(
        fc.array(any, { minLength: 1, maxLength: 80 }),
        fc.boolean(),
        seed,
        (lines, healthy, from) => {
          const away = waits({ lines, healthy }, {}, from)
          for (const [at, { opensAfter, lives, heard }] of lines.entries()) {
            const wait = away[at] as number
            const opened = opensAfter < Infinity
            if (opened && lives >= 5000) expect(wait).toBeLessThanOrEqual(2000)
            else if (opened && heard) expect(wait).toBeLessThanOrEqual(5000)
            else expect(wait).toBeLessThanOrEqual(30_000)
          }
        },
      ),
    )
  })

  it('a series that is over can be as long again before it is given up', () => {
    fc.assert(
      fc.property(fc.array(young, { minLength: 5, maxLength: 40 }), seed, (lines, from) => {
        const away = waits({ lines, healthy: false }, { maxReconnectAttempts: 1 }, from)
        expect(away).toHaveLength(lines.length)
      }),
    )
  })
})
