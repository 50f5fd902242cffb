// One process that asks a limiter as often as it can: its own in memory, or one that a fleet shares.

import { setImmediate as turn } from 'node:timers/promises'
import { RateLimiter } from 'guru-comms/policies'
import { fromIoredis, SharedRateLimiter } from 'guru-comms/redis'
import { Redis } from 'ioredis'
import { answer } from '../harness/child.ts'

/** Decisions in one go, between two looks at the network. */
const BATCH = 2000

interface Limiter {
  take(): boolean
  roundTrips(): number
  end(): Promise<void>
}

let limiter: Limiter | undefined

function local(tokensPerSecond: number, burstCapacity: number): Limiter {
  const own = new RateLimiter({ limits: { api: { tokensPerSecond, burstCapacity } } })
  return { take: () => own.take('provider') === undefined, roundTrips: () => 0, end: async () => {} }
}

async function shared(port: number, tokensPerSecond: number, burstCapacity: number): Promise<Limiter> {
  const client = new Redis({ host: '127.0.0.1', port })
  const own = new SharedRateLimiter({
    engine: fromIoredis(client),
    name: 'provider',
    tokensPerSecond,
    burstCapacity,
  })
  await own.ready()
  return {
    take: () => own.tryTake(),
    roundTrips: () => own.getStats().roundTrips,
    async end() {
      await own.close()
      client.disconnect()
    },
  }
}

answer({
  async setup({
    kind,
    port,
    rate,
    burst,
  }: {
    kind: 'local' | 'shared'
    port: number
    rate: number
    burst: number
  }) {
    await limiter?.end()
    limiter = kind === 'local' ? local(rate, burst) : await shared(port, rate, burst)
  },
  /** As fast as it can for `ms` milliseconds. */
  async run({ ms }: { ms: number }) {
    const { take, roundTrips } = limiter as Limiter
    const tripsBefore = roundTrips()
    let decisions = 0
    let allowed = 0
    const until = performance.now() + ms
    const startedAt = performance.now()
    while (performance.now() < until) {
      for (let left = BATCH; left > 0; left -= 1) if (take()) allowed += 1
      decisions += BATCH
      await turn()
    }
    return { decisions, allowed, ms: performance.now() - startedAt, roundTrips: roundTrips() - tripsBefore }
  },
  /** What comes, every `everyMs` milliseconds as many as it gets: what a fleet at its limit does. */
  async poll({ ms, everyMs }: { ms: number; everyMs: number }) {
    const { take, roundTrips } = limiter as Limiter
    const tripsBefore = roundTrips()
    let allowed = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        while (take()) allowed += 1
      }, everyMs)
      setTimeout(() => {
        clearInterval(timer)
        resolve()
      }, ms)
    })
    return { allowed, roundTrips: roundTrips() - tripsBefore }
  },
  async end() {
    await limiter?.end()
    limiter = undefined
  },
})
