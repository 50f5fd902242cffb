// Three nodes behind haproxy, killed, frozen and replaced at random while a crowd of clients exchanges counters with them, and
// the engine killed once: nothing is lost, doubled or out of order. In the long run 1,000 clients for a minute.

import { setTimeout as rest } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { LONG } from '../support/proofs.ts'
import { canRunRedis } from '../support/redisServers.ts'
import { Fleet, HAPROXY } from './fleet/Fleet.ts'

const CLIENTS = LONG ? 1000 : 100
const SECONDS = LONG ? 60 : 12
const SEED = Number(process.env.GURU_SEED ?? 1)
const LEASE_MS = LONG ? 4000 : 2000

if (!HAPROXY) console.warn('skipped: a fleet behind a balancer (apt-get install haproxy)')

describe.skipIf(!canRunRedis('a fleet of nodes') || !HAPROXY)('a fleet of three nodes', () => {
  it(
    `${CLIENTS} clients, ${SECONDS} s (seed ${SEED}): whatever is killed, frozen or replaced, nothing is lost, doubled or out of order`,
    async () => {
      const random = seededRandom(SEED)
      const fleet = await Fleet.start({
        clients: CLIENTS,
        everyMs: LONG ? 1000 : 150,
        leaseMs: LEASE_MS,
        drainMs: LONG ? 3000 : 1000,
      })
      const done = { killed: 0, frozen: 0, replaced: 0, engine: 0 }
      try {
        // All have begun.
        await rest(2000)
        const end = performance.now() + SECONDS * 1000
        const middle = performance.now() + SECONDS * 500
        // Each at least once, then at random; those that are quick more often.
        const first = ['killed', 'frozen', 'replaced'] as const
        for (let round = 0; performance.now() < end || round < 3; round += 1) {
          const node = Math.floor(random() * 3)
          const what = first[round] ?? first[Math.floor(random() * 2.3)]
          if (what === 'killed') await fleet.kill(node)
          else if (what === 'frozen') await fleet.freeze(node, LEASE_MS * (0.5 + 2 * random()))
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
