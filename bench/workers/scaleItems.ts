// More and more endpoints in one limiter, more and more messages in one queue: what one of them costs among so many.

import { GuruConnection } from 'guru-comms/GuruConnection'
import { RateLimiter } from 'guru-comms/security/RateLimiter'
import { answer } from '../harness/child.ts'
import { settledHeap } from '../harness/heap.ts'
import { meterAllocation } from '../harness/usage.ts'
import { type SinkSession, sinkOf } from '../servers/sink.ts'

/** What happens in one sample, at the least. */
const LEAST = 100_000

const UNLIMITED = { api: { tokensPerSecond: 1e9, burstCapacity: 1e9 } }
/** Flat strings: a key that is still a concatenation would be paid for at its first look-up. */
const endpoints = Array.from({ length: 100_000 }, (_, index) =>
  Buffer.from(`GET /v1/items/${index}`).toString('latin1'),
)
const MESSAGE = Buffer.from('a queued message'.padEnd(100, ' of some length')).toString('latin1')

async function nanoseconds(count: number, work: () => unknown): Promise<number> {
  const before = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - before) / count
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

async function limiterCost(count: number, maxEndpoints?: number): Promise<ItemCost> {
  const before = await settledHeap()
  const limiter = new RateLimiter({ limits: UNLIMITED, ...(maxEndpoints && { maxEndpoints }) })
  const times = Math.max(1, Math.ceil(LEAST / count))
  const decide = () => {
    for (let time = 0; time < times; time += 1) {
      for (let index = 0; index < count; index += 1) limiter.check(endpoints[index] as string)
    }
  }
  decide()
  const held = ((await settledHeap()) - before) / count
  const ns = await nanoseconds(count * times, decide)
  const { bytes } = await meterAllocation(async () => decide())
  return { ns, allocated: bytes / (count * times), held }
}

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
  'limiter-roomy': ({ count }: Size) => limiterCost(count, 1_000_000),
  'limiter-default': ({ count }: Size) => limiterCost(count),
  'queue-plain': ({ count }: Size) => queueCost(count, 'off'),
  'queue-session': ({ count }: Size) => queueCost(count, 'required'),
})
