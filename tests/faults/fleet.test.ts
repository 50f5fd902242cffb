// Three nodes behind a balancer, killed, frozen, cut off from the engine and replaced at random while a crowd of clients exchanges counters with them, and
// the engine killed once: nothing is lost, doubled or out of order. In the long run 1,000 clients for a minute.

import { setTimeout as rest } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { LONG } from '../support/proofs.ts'
import { canRunRedis } from '../support/redisServers.ts'
import { BALANCERS, Fleet } from './fleet/Fleet.ts'

const CLIENTS = LONG ? 1000 : 100
const SECONDS = LONG ? 60 : 12
const SEED = Number(process.env.GURU_SEED ?? 1)
const LEASE_MS = LONG ? 4000 : 2000

/** The short run has the one that watches its nodes; `GURU_BALANCER` names another. */
const wanted = process.env.GURU_BALANCER?.split(',') ?? (LONG ? ['haproxy', 'nginx'] : ['haproxy'])
const balancers = (['haproxy', 'nginx'] as const).filter((name) => wanted.includes(name))
for (const name of balancers)
  if (!BALANCERS[name]) console.warn(`skipped: a fleet behind ${name} (apt-get install ${name})`)

describe.each(balancers)('a fleet of three nodes behind %s', (balancer) => {
  const can = canRunRedis('a fleet of nodes') && BALANCERS[balancer] !== undefined
  it.skipIf(!can)(
    `${CLIENTS} clients, ${SECONDS} s (seed ${SEED}): whatever is killed, frozen, cut off or replaced, nothing is lost, doubled or out of order`,
    async () => {
      const random = seededRandom(SEED)
      const fleet = await Fleet.start({
        clients: CLIENTS,
        everyMs: LONG ? 1000 : 150,
        leaseMs: LEASE_MS,
        drainMs: LONG ? 3000 : 1000,
        balancer,
      })
      const done = { killed: 0, frozen: 0, replaced: 0, cutOff: 0, engine: 0 }
      try {
        // All have begun.
        await rest(2000)
        const end = performance.now() + SECONDS * 1000
        const middle = performance.now() + SECONDS * 500
        // Each at least once, then at random; those that are quick more often.
        const first = ['killed', 'frozen', 'cutOff', 'replaced'] as const
        for (let round = 0; performance.now() < end || round < 4; round += 1) {
          const node = Math.floor(random() * 3)
          const what = first[round] ?? first[Math.floor(random() * 3.3)]
          if (what === 'killed') await fleet.kill(node)
          else if (what === 'frozen') await fleet.freeze(node, LEASE_MS * (0.5 + 2 * random()))
          else if (what === 'cutOff') await fleet.partition(node, LEASE_MS * (0.5 + 2 * random()))
          else await fleet.replace(node)
          done[what ?? 'killed'] += 1
          if (done.engine === 0 && performance.now() > middle) {
            await fleet.engine.kill()
            await rest(500 * random())
            await fleet.engine.restart()
            done.engine += 1
          }
          await rest(200 + 800 * random())
        }
        const { violations, ...sums } = await fleet.finish()
        console.log(JSON.stringify({ ...done, ...sums }))
        expect(violations.slice(0, 20)).toEqual([])
        expect(done.engine).toBe(1)
        expect(Math.min(sums.up, sums.down)).toBeGreaterThan(CLIENTS * (LONG ? 20 : 10))
        expect(sums.takeovers).toBeGreaterThan(CLIENTS)
      } finally {
        await fleet.end()
      }
    },
    SECONDS * 10_000 + 120_000,
  )
})
