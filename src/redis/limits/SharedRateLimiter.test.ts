import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CallLog } from '../../../tests/support/callLog.ts'
import { FakeBucketEngine } from '../../../tests/support/fakeBucketEngine.ts'
import { seededRandom } from '../../testing/seededRandom.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import type { SharedRateLimiterOptions } from './options.ts'
import { SharedRateLimiter } from './SharedRateLimiter.ts'

/** A fleet on one engine, in virtual time. */
function fleet(size: number, given: Partial<SharedRateLimiterOptions> = {}) {
  const clock = new VirtualClock()
  const engine = new FakeBucketEngine(clock)
  const { tokensPerSecond = 100, burstCapacity = 100 } = given
  /** Processes that have died: nothing of theirs reaches the engine any more. */
  const dead = new Set<number>()
  let started = 0
  const start = () => {
    const index = started++
    return new SharedRateLimiter({
      engine: engine.connect(() => (dead.has(index) ? 'down' : 'fine')),
      name: 'quota',
      tokensPerSecond,
      burstCapacity,
      clock,
      random: () => 0.5,
      ...given,
    })
  }
  const limiters = Array.from({ length: size }, start)
  const log = new CallLog(tokensPerSecond, burstCapacity)
  const counts = limiters.map(() => 0)
  /** Every process takes what it can get, for `ms` milliseconds. */
  const greed = async (ms: number, stepMs = 1) => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(stepMs)
      for (const [index, limiter] of limiters.entries()) {
        while (limiter.tryTake()) {
          log.add(clock.now())
          counts[index] = (counts[index] as number) + 1
        }
      }
    }
  }
  return { clock, engine, limiters, start, dead, log, counts, greed }
}

describe('a fleet of greedy processes', () => {
  it('uses the whole quota, never more, each its fair share', async () => {
    const { log, counts, greed, engine } = fleet(8)
    await greed(30_000)
    expect(log.excess).toBeLessThanOrEqual(1e-6)
    expect(log.count).toBeGreaterThanOrEqual(0.97 * 3000)
    for (const count of counts) expect(Math.abs(count / (log.count / 8) - 1)).toBeLessThan(0.2)
    expect(engine.commands).toBeLessThan(log.count / 9)
  })

  it('one token for all of them: it goes round', async () => {
    const { log, counts, greed, dead } = fleet(4, { tokensPerSecond: 10, burstCapacity: 1 })
    await greed(20_000)
    expect(log.excess).toBeLessThanOrEqual(1e-6)
    expect(log.count).toBeGreaterThan(150)
    expect(Math.min(...counts)).toBeGreaterThan(20)
    // One that dies does not stop the others.
    dead.add(3)
    counts.fill(0)
    await greed(20_000)
    expect((counts[0] as number) + (counts[1] as number) + (counts[2] as number)).toBeGreaterThan(80)
  })

  it('the engine dies and forgets: insurance, and no burst when it is back', async () => {
    const { log, greed, engine, limiters } = fleet(8)
    await greed(10_000)
    engine.weather = 'down'
    engine.forget()
    const before = log.count
    await greed(5000)
    expect(limiters.map(({ state }) => state)).toEqual(limiters.map(() => 'insured'))
    const insured = log.count - before
    expect(insured).toBeGreaterThan(400)
    engine.weather = 'fine'
    const after = log.count
    await greed(10_000)
    expect(limiters.map(({ state }) => state)).toEqual(limiters.map(() => 'shared'))
    expect(log.excess).toBeLessThanOrEqual(1e-6)
    expect(log.count - after).toBeGreaterThan(900)
  })
})

/** More of them find what is rare: `RUNS=1000 npx vitest run src/redis/limits`. */
const RUNS = Number(process.env.RUNS ?? 20)

/** What happens to a fleet: each step lasts, and something changes at its beginning. */
const step = fc.record({
  ms: fc.integer({ min: 1, max: 4000 }),
  event: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('demand' as const),
        who: fc.nat(7),
        every: fc.constantFrom(0, 1, 5, 40, 300),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('all' as const), every: fc.constantFrom(0, 1, 20) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('weather' as const),
        weather: fc.constantFrom('down' as const, 'silent' as const),
        forget: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'fine' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('join' as const, 'leave' as const, 'die' as const),
        who: fc.nat(7),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('latency' as const),
        // Both ways together within the timeout: who alone is too slow for it adds its share (see docs/scale-out.md).
        upTo: fc.constantFrom(0, 2, 30, 200),
      }),
    },
  ),
})

describe('whatever happens to a fleet', () => {
  it('no window holds more than the burst and what has come back since', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 20 }),
        fc.constantFrom<[number, number][]>([100, 100], [100, 20], [10, 40], [5, 10], [1000, 200]),
        fc.integer({ min: 1, max: 6 }),
        fc.integer(),
        async (steps, [tokensPerSecond, burstCapacity], size, seed) => {
          const random = seededRandom(seed)
          const { clock, engine, limiters, start, dead, log } = fleet(size, {
            tokensPerSecond,
            burstCapacity,
            random,
          })
          const every = limiters.map(() => 0)
          const due = limiters.map(() => 0)
          let upTo = 2
          engine.latencyMs = () => random() * upTo
          // A process is counted by the others from their next word to the engine on.
          const settle = async () => {
            const before = upTo
            upTo = 2
            await clock.advance(3100)
            upTo = before
          }
          await settle()
          for (const { ms, event } of steps) {
            if (event.kind === 'demand') every[event.who] = event.every
            else if (event.kind === 'all') every.fill(event.every)
            else if (event.kind === 'weather') {
              engine.weather = event.weather
              if (event.forget) engine.forget()
            } else if (event.kind === 'fine') engine.weather = 'fine'
            else if (event.kind === 'latency') upTo = event.upTo
            else if (event.kind === 'join' && limiters.length < 8 && engine.weather === 'fine') {
              limiters.push(start())
              await settle()
            } else if (event.kind === 'leave' && limiters[event.who]) void limiters[event.who]?.close()
            else if (event.kind === 'die') dead.add(event.who)
            for (let passed = 0; passed < ms; passed += 1) {
              await clock.advance(1)
              for (const [index, limiter] of limiters.entries()) {
                const pause = every[index] ?? 0
                if (pause === 0 || dead.has(index) || clock.now() < (due[index] ?? 0)) continue
                due[index] = clock.now() + pause
                if (limiter.tryTake()) log.add(clock.now())
              }
            }
          }
          for (const limiter of limiters) void limiter.close()
          expect(log.excess).toBeLessThanOrEqual(1e-6)
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    )
  })
})
