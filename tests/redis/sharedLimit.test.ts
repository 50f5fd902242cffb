// Eight real processes on one limit and one real server: never too much, hardly too little, fair; and the server killed in between.
// In the long run for half a minute each.

import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { CallLog } from '../support/callLog.ts'
import { LONG } from '../support/proofs.ts'
import { canRunRedis, RedisServer } from '../support/redisServers.ts'
import type { FleetReport } from './limiterProcess.ts'

const can = canRunRedis('a rate limit shared by processes')
const SECONDS = LONG ? 30 : 9
/**
 * How far a process may be from its fair share. Tokens are lent a dozen at a time, and a machine with more to do than cores passes
 * over a process for seconds: in the short run only nobody may starve.
 */
const UNFAIR = LONG ? 0.2 : 0.6
const RATE = 100
const BURST = 100
const PROCESSES = 8
/** A third of a lease until the next word to the engine, its timeout, and another third. */
const NOTICED_MS = 1000 + 500 + 1000

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function heard<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T))
    child.once('exit', (code) => reject(new Error(`a process of the fleet ended with ${code}`)))
  })
}

class Fleet {
  readonly #children: ChildProcess[]

  private constructor(children: ChildProcess[]) {
    this.#children = children
  }

  /** Resolves when all know of each other and the bucket is full. */
  static async start(port: number): Promise<Fleet> {
    const children = Array.from({ length: PROCESSES }, () =>
      fork(join(import.meta.dirname, 'limiterProcess.ts'), [String(port), String(RATE), String(BURST)]),
    )
    cleanups.push(() => {
      for (const child of children) child.kill('SIGKILL')
    })
    await Promise.all(children.map((child) => heard(child)))
    await rest(1000 * (BURST / RATE) + 1500)
    return new Fleet(children)
  }

  begin(): void {
    for (const child of this.#children) child.send('begin')
  }

  async end(): Promise<FleetReport[]> {
    const reports = this.#children.map((child) => heard<FleetReport>(child))
    for (const child of this.#children) child.send('end')
    return Promise.all(reports)
  }
}

/** All calls in the order of time, and how far they went beyond the limit in the worst window. */
function merge(reports: readonly FleetReport[]): { times: number[]; excess: number } {
  const times = reports.flatMap((report) => report.times).sort((a, b) => a - b)
  const log = new CallLog(RATE, BURST)
  for (const at of times) log.add(at)
  return { times, excess: log.excess }
}

describe.skipIf(!can)('a limit shared by eight processes', () => {
  it(`${SECONDS} s: never beyond the limit, all of it used, each its share`, async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const fleet = await Fleet.start(server.port)
    fleet.begin()
    await rest(1000 * SECONDS)
    const reports = await fleet.end()
    const { times, excess } = merge(reports)
    const first = times[0] as number
    const within = times.filter((at) => at < first + 1000 * SECONDS).length
    const counts = reports.map((report) => report.times.length)
    const trips = reports.reduce((sum, { roundTrips }) => sum + roundTrips, 0)
    console.info(
      `${times.length} calls, ${excess.toFixed(3)} beyond the limit in the worst window, by process ${counts.join(' ')}, ${trips} round trips`,
    )
    expect(excess).toBeLessThanOrEqual(1e-6)
    expect(within).toBeGreaterThanOrEqual(0.97 * (BURST + RATE * SECONDS))
    for (const count of counts) expect(Math.abs(count / (times.length / PROCESSES) - 1)).toBeLessThan(UNFAIR)
  })

  it('the server killed in between: insurance holds, nothing is too much when it is back', async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const fleet = await Fleet.start(server.port)
    fleet.begin()
    const third = (1000 * SECONDS) / 3
    await rest(third)
    const killedAt = Number(process.hrtime.bigint()) / 1e6
    await server.kill()
    await rest(Math.max(third, 6000))
    await server.restart()
    const backAt = Number(process.hrtime.bigint()) / 1e6
    await rest(third + 2000)
    const reports = await fleet.end()
    const { times, excess } = merge(reports)
    // At first they live on what had been promised; insurance begins when everyone has noticed and that has come.
    const insured = times.filter((at) => at > killedAt + NOTICED_MS && at < backAt).length
    const insuredFor = (backAt - killedAt - NOTICED_MS) / 1000
    const after = times.filter((at) => at > backAt + 2000).length
    const afterFor = ((times.at(-1) as number) - backAt - 2000) / 1000
    console.info(
      `insured ${(insured / insuredFor).toFixed(1)}/s, after ${(after / afterFor).toFixed(1)}/s, ${excess.toFixed(3)} beyond the limit in the worst window`,
    )
    expect(excess).toBeLessThanOrEqual(1e-6)
    for (const { states } of reports) {
      // One that was slow may have been insured before.
      expect(states.some(({ at, state }) => state === 'insured' && at < backAt)).toBe(true)
      expect(states.at(-1)?.state).toBe('shared')
    }
    expect(insured / insuredFor).toBeGreaterThan(0.8 * RATE)
    expect(after / afterFor).toBeGreaterThan(0.9 * RATE)
  })
})
