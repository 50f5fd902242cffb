// One process of a fleet that takes all it can get of a shared limit. Told by its parent when to begin and when to report.

import { Redis } from 'ioredis'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/systemClock.ts'
import { fromIoredis } from '../../src/redis/adapters/fromIoredis.ts'
import { SharedRateLimiter } from '../../src/redis/limits/SharedRateLimiter.ts'

/** What a process reports at the end: the times of its calls on the machine's one clock, in milliseconds. */
export interface FleetReport {
  readonly times: readonly number[]
  readonly states: readonly { readonly at: number; readonly state: string }[]
  readonly roundTrips: number
}

const [port = '', rate = '', burst = ''] = process.argv.slice(2)
let decidedAt = 0
/** All processes of a machine share this clock; a decision is made at the last time that was read. */
const clock: Clock = {
  ...systemClock,
  now: () => {
    decidedAt = Number(process.hrtime.bigint()) / 1e6
    return decidedAt
  },
}

const client = new Redis({ host: '127.0.0.1', port: Number(port), retryStrategy: () => 100 })
client.on('error', () => {})
const states: { at: number; state: string }[] = []
const limiter = new SharedRateLimiter({
  engine: fromIoredis(client),
  name: 'provider',
  tokensPerSecond: Number(rate),
  burstCapacity: Number(burst),
  clock,
  onChange: (state) => states.push({ at: clock.now(), state }),
})
const times: number[] = []
let poll: NodeJS.Timeout | undefined

process.on('message', async (message) => {
  if (message === 'begin') {
    poll = setInterval(() => {
      while (limiter.tryTake()) times.push(decidedAt)
    }, 2)
    return
  }
  clearInterval(poll)
  const { roundTrips } = limiter.getStats()
  await limiter.close()
  client.disconnect()
  process.send?.({ times, states, roundTrips } satisfies FleetReport, () => process.disconnect())
})
await limiter.ready()
process.send?.('ready')
