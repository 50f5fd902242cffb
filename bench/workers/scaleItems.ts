// More and more endpoints in one limiter, more and more messages in one queue: what one of them costs among so many.

import { GuruConnection } from 'guru-comms/GuruConnection'
import { RateLimiter } from 'guru-comms/security/RateLimiter'
import { answer } from '../harness/child.ts'
import { settledHeap } from '../harness/heap.ts'
import { meter, meterAllocation } from '../harness/usage.ts'
import { type SinkSession, sinkOf } from '../servers/sink.ts'

/** What happens in one sample, at the least. */
const LEAST = 100_000

const UNLIMITED = { api: { tokensPerSecond: 1e9, burstCapacity: 1e9 } }
/** Flat strings: a key that is still a concatenation would be paid for at its first look-up. */
const endpoints = Array.from({ length: 100_000 }, (_, index) =>
  Buffer.from(`GET /v1/items/${index}`).toString('latin1'),
)
const MESSAGE = Buffer.from('a queued message'.padEnd(100, ' of some length')).toString('latin1')

/** Of CPU, garbage collection included: others on the machine count for less than on the wall's clock. */
async function nanoseconds(count: number, work: () => unknown): Promise<number> {
  const { cpuUs } = await meter(async () => work())
  return (cpuUs * 1000) / count
}

export interface ItemCost {
  ns: number
  /** Heap bytes allocated, freed ones included. */
  allocated: number
  /** Heap bytes that each holds while it is there. */
  held: number
}

interface Size {
  count: number
}

/** What one key of many costs, all in turn. */
async function keyCost(count: number, make: () => (key: string) => unknown): Promise<ItemCost> {
  const before = await settledHeap()
  const use = make()
  const times = Math.max(1, Math.ceil(LEAST / count))
  const decide = () => {
    for (let time = 0; time < times; time += 1) {
      for (let index = 0; index < count; index += 1) use(endpoints[index] as string)
    }
  }
  decide()
  const held = ((await settledHeap()) - before) / count
  const ns = await nanoseconds(count * times, decide)
  const { bytes } = await meterAllocation(async () => decide())
  return { ns, allocated: bytes / (count * times), held }
}

const limiterCost = (count: number, maxEndpoints?: number) =>
  keyCost(count, () => {
    const limiter = new RateLimiter({ limits: UNLIMITED, ...(maxEndpoints && { maxEndpoints }) })
    return (key) => limiter.check(key)
  })

/** The least that anything which knows keys can do. */
const mapCost = (count: number) =>
  keyCost(count, () => {
    const counts = new Map<string, { count: number }>()
    return (key) => {
      const known = counts.get(key)
      if (known) known.count += 1
      else counts.set(key, { count: 1 })
    }
  })

/** Messages queued while there is no line, which then opens and takes them all. */
async function queueOnce(
  count: number,
  session: SinkSession,
  whileQueued?: () => Promise<unknown>,
): Promise<void> {
  const sink = sinkOf(session)
  const connection = new GuruConnection({
    url: 'ws://sink/ws',
    session,
    autoConnect: false,
    healthUrl: false,
    maxQueueMessages: 1_000_000,
    maxQueueBytes: 2 ** 30,
    WebSocket: sink.WebSocket,
  })
  for (let index = 0; index < count; index += 1) connection.send(MESSAGE)
  await whileQueued?.()
  const taken = sink.taken(count)
  connection.connect()
  await taken
  connection.dispose()
}

async function queueCost(count: number, session: SinkSession): Promise<ItemCost> {
  const times = Math.max(1, Math.ceil(LEAST / 5 / count))
  const all = async () => {
    for (let time = 0; time < times; time += 1) await queueOnce(count, session)
  }
  await all()
  const ns = await nanoseconds(count * times, all)
  const { bytes } = await meterAllocation(all)
  const before = await settledHeap()
  let held = 0
  await queueOnce(count, session, async () => {
    held = ((await settledHeap()) - before) / count
  })
  return { ns, allocated: bytes / (count * times), held }
}

answer({
  map: ({ count }: Size) => mapCost(count),
  'limiter-roomy': ({ count }: Size) => limiterCost(count, 1_000_000),
  'limiter-default': ({ count }: Size) => limiterCost(count),
  'queue-plain': ({ count }: Size) => queueCost(count, 'off'),
  'queue-session': ({ count }: Size) => queueCost(count, 'required'),
})
