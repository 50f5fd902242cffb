// The script of the shared limit against its model, on real servers: every answer, over random lives of a fleet.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EngineCalls } from '../../src/redis/EngineCalls.ts'
import {
  BUCKET,
  bucketArguments,
  bucketReply,
  type LeaseReply,
  type LeaseRequest,
} from '../../src/redis/limits/bucketScript.ts'
import { answer, type BucketState } from '../support/bucketModel.ts'
import { ioredis, ioredisCluster, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, type RedisCluster, RedisServer, startCluster } from '../support/redisServers.ts'

const can = canRunRedis('scripts on Redis servers')

const amount = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 30 }),
  fc.double({ min: 0, max: 40, noNaN: true }),
)
const request = fc.record({
  who: fc.constantFrom('a', 'b', 'c', 'd'),
  seqStep: fc.constantFrom(1, 1, 1, 0, -1),
  held: amount,
  usedStep: amount,
  need: fc.integer({ min: 0, max: 12 }),
  want: fc.integer({ min: 0, max: 40 }),
  known: fc.integer({ min: 0, max: 6 }),
  /** Of this life of the bucket, or of another. */
  remembers: fc.boolean(),
  /** Milliseconds since it lost its way; 0: it did not. */
  away: fc.constantFrom(0, 0, 0, 1, 30),
  leaving: fc.constantFrom(false, false, false, false, true),
  pauseMs: fc.constantFrom(0, 0, 0, 1, 5, 40),
})

/** Short, so that processes go missing and are forgotten within a run. */
const LIFE_MS = 12

function agrees(open: () => OpenedEngine) {
  it('gives the answers of the model, whatever is asked', async () => {
    const opened = open()
    const calls = new EngineCalls(opened.engine, { timeout: 10_000 })
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(
          { tokensPerSecond: 100, burstCapacity: 100 },
          { tokensPerSecond: 1000, burstCapacity: 7.5 },
          { tokensPerSecond: 3, burstCapacity: 40 },
          { tokensPerSecond: 50, burstCapacity: 1 },
        ),
        async (steps, limit) => {
          run += 1
          const key = `model:${run}:${Math.random()}`
          let state: BucketState | undefined
          let born = 0
          let engineNow = 0
          const seqs: Record<string, number> = {}
          const used: Record<string, number> = {}
          for (const step of steps) {
            const { who, held, need, known, leaving } = step
            if (step.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, step.pauseMs))
            seqs[who] = (seqs[who] ?? 0) + step.seqStep
            used[who] = (used[who] ?? 0) + step.usedStep
            const asked: LeaseRequest = {
              seq: seqs[who],
              held,
              used: used[who],
              need,
              want: Math.max(need, step.want),
              known,
              born: step.remembers ? born : 1,
              since: step.away > 0 && engineNow > 0 ? engineNow + step.away : 0,
              leaving,
            }
            const raw = await calls.run(BUCKET, [key], bucketArguments(who, limit, LIFE_MS, asked))
            const reply = bucketReply(raw)
            // Only an answer says what time it was: without one, the model's word is that there is none.
            const now = reply?.now ?? engineNow
            if (!reply && !leaving) {
              expect(state?.members.get(who)?.seq).toBeGreaterThanOrEqual(asked.seq)
              continue
            }
            if (!reply) {
              // A goodbye: what it left behind is compared by the next answer, from the state that the server keeps.
              state = await stateOf(opened, key)
              continue
            }
            const expected = answer(state, who, limit, LIFE_MS, asked, now)
            state = expected.state
            expectSame(reply, expected.reply)
            born = reply.born
            engineNow = now
          }
        },
      ),
      { numRuns: 60 },
    )
    await opened.end()
  })
}

function expectSame(reply: LeaseReply, model: LeaseReply | undefined): void {
  expect(model).toBeDefined()
  for (const [name, value] of Object.entries(model as LeaseReply)) {
    const got = reply[name as keyof LeaseReply]
    // Texts of 17 digits carry a double whole; order of additions may differ.
    expect(Math.abs(got - value), `${name}: ${got}, the model says ${value}`).toBeLessThan(
      1e-6 * Math.max(1, Math.abs(value)),
    )
  }
}

/** What the server keeps under the key, in the model's words. */
async function stateOf({ engine }: OpenedEngine, key: string): Promise<BucketState | undefined> {
  const texts = ((await engine.command(['HGETALL', key], key)) as Uint8Array[]).map((text) =>
    Buffer.from(text).toString(),
  )
  let state: BucketState | undefined
  const members: BucketState['members'] = new Map()
  for (let index = 0; index < texts.length; index += 2) {
    const [a, b, c, d, e] = (texts[index + 1] as string).split(' ').map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ]
    if (texts[index] === '*') state = { tokens: a, at: b, expected: c, probation: d, born: e, members }
    else members.set(texts[index] as string, { seq: a, held: b, used: c, seen: d, waits: e })
  }
  return state
}

describe.skipIf(!can)('the script of the shared limit', () => {
  let server: RedisServer
  let cluster: RedisCluster
  beforeAll(async () => {
    ;[server, cluster] = await Promise.all([RedisServer.start(), startCluster()])
  })
  afterAll(async () => {
    await server?.stop()
    await cluster?.stop()
  })
  describe('on one server', () => agrees(() => ioredis(server)))
  describe('on a cluster', () => agrees(() => ioredisCluster(cluster.nodes.map(({ port }) => port))))
})
