// Client and server are killed at random instants, again and again, under traffic both ways: what either had accepted
// arrives, in order, once.

import type { ChildProcess } from 'node:child_process'
import { afterEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { LONG } from '../support/proofs.ts'
import { SessionRun, until, type Who } from './sessionRun.ts'

/** Of each of the two. */
const DEATHS = LONG ? 10 : 4
const COUNTERS = LONG ? 500 : 200
/** Another one dies at other instants. */
const SEED = Number(process.env.GURU_SEED ?? 1)

const runs: SessionRun[] = []
afterEach(async () => {
  for (const run of runs.splice(0)) await run.end()
})

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** As many lives: most end in mid-traffic, some while the process is still starting, opening its store or resuming. */
async function die(
  run: SessionRun,
  who: Who,
  start: () => ChildProcess,
  seed: number,
): Promise<ChildProcess> {
  const random = seededRandom(seed)
  for (let death = 0; death < DEATHS; death += 1) {
    const child = start()
    if (random() < 0.75) {
      const before = run.handled(who)
      await until(() => run.handled(who) > before + random() * 40)
      await rest(random() * 50)
    } else await rest(random() * 1500)
    await run.kill(child)
  }
  return start()
}

describe('a client and a server that are killed (SIGKILL) at random instants', () => {
  it.each([
    [SEED, 'handled work is recorded in the transaction of the store: nothing is doubled', true],
    [SEED + 1, 'without the transaction only what is flagged as redelivered is handled again', false],
  ])(`${DEATHS} deaths of each (seed %i), %s`, async (seed, _what, transact) => {
    // What may have begun before a death is flagged up to a whole window: a small one, so that most is not.
    const run = new SessionRun({ durable: true, transact, server: { maxMessages: 32 } })
    runs.push(run)
    const { child, port } = await run.startServer()
    const client = die(run, 'client', () => run.spawnClient(port), seed)
    let first: ChildProcess | undefined = child
    const server = die(
      run,
      'server',
      () => {
        const next = first ?? run.spawnServer(port)
        first = undefined
        return next
      },
      seed + 1000,
    )
    await Promise.all([client, server])
    await until(() => run.handled('client') >= COUNTERS && run.handled('server') >= COUNTERS)
    await run.finish()

    expect(run.judge()).toEqual([])
    for (const who of ['client', 'server'] as const) {
      expect(run.count(who, 'died')).toBe(DEATHS)
      expect(run.handled(who)).toBeGreaterThanOrEqual(COUNTERS)
      expect([...run.lost(who), ...run.failures(who)]).toEqual([])
    }
  })

  it('without a store each death of the server is told: every message is handled, or reported in doubt', async () => {
    const run = new SessionRun({ durable: false })
    runs.push(run)
    const { child, port } = await run.startServer()
    await run.startClient(port)
    const random = seededRandom(SEED)
    let server = child
    for (let death = 1; death <= 5; death += 1) {
      const before = run.handled('server')
      await until(() => run.handled('server') > before + random() * 100)
      await rest(random() * 50)
      await run.kill(server)
      server = (await run.startServer(port)).child
      await until(() => run.lost('client').length === death)
    }
    await until(() => run.count('server', 'session') === 6)
    await run.finish()
    expect(run.judge()).toEqual([])
    expect(run.lost('client').map(({ reason }) => reason)).toEqual(Array(5).fill('gone'))
    expect(run.lines.filter(({ redelivered }) => redelivered)).toEqual([])
  })
})
