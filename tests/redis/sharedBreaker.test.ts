// The shared breaker on real servers: its script against the model, and a fleet of real connections.

import { setTimeout as rest } from 'node:timers/promises'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { fromIoredis } from '../../src/redis/adapters/fromIoredis.ts'
import {
  BREAKER,
  type BreakerWord,
  breakerArguments,
  breakerMessage,
  breakerReply,
} from '../../src/redis/breaker/breakerScript.ts'
import { SharedCircuitBreaker } from '../../src/redis/breaker/SharedCircuitBreaker.ts'
import { EngineCalls } from '../../src/redis/EngineCalls.ts'
import { answerBreaker, freshBreaker } from '../support/breakerModel.ts'
import { ioredis, ioredisCluster, nodeRedis, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, RedisServer, startCluster } from '../support/redisServers.ts'

const can = canRunRedis('a circuit breaker shared by processes')

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function until(isSo: () => boolean): Promise<void> {
  for (let looks = 0; !isSo() && looks < 40_000; looks += 1) await rest(2)
  expect(isSo()).toBe(true)
}

const words: BreakerWord[] = ['read', 'open', 'probe', 'succeeded', 'failed', 'ignored', 'reset', 'isolate']
const step = fc.record({
  who: fc.constantFrom('a', 'b', 'c'),
  // By hand is rare, or nothing else would happen.
  word: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...words.slice(0, 6)) }, fc.constantFrom(...words)),
  openMs: fc.constantFrom(0, 1, 8, 20_000),
  openings: fc.nat(4),
  probes: fc.constantFrom(1, 2),
  pauseMs: fc.constantFrom(0, 0, 0, 2, 10),
})

async function agrees({ engine }: OpenedEngine): Promise<void> {
  const calls = new EngineCalls(engine, { timeout: 10_000 })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const key = `breaker:${Math.random()}`
      const heard: string[] = []
      const promised: string[] = []
      const leave = await engine.subscribe(
        key,
        (message) => {
          const facts = breakerMessage(message)
          heard.push(`${facts?.version} ${facts?.state}`)
        },
        () => {},
      )
      const kept = freshBreaker()
      for (const { who, word, openMs, openings, probes, pauseMs } of steps) {
        if (pauseMs > 0) await rest(pauseMs)
        const request = { word, openMs, openings, probes }
        const facts = breakerReply(await calls.run(BREAKER, [key], breakerArguments(who, key, request)))
        const model = answerBreaker(kept, who, request, facts.now)
        expect(facts, `${who} ${word}`).toEqual(model.facts)
        if (model.published) promised.push(`${facts.version} ${facts.state}`)
      }
      await until(() => heard.length >= promised.length)
      expect(heard).toEqual(promised)
      await leave()
    }),
    { numRuns: 60 },
  )
}

describe.skipIf(!can)('the script of the shared breaker gives the answers of the model', () => {
  it('on one server', async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const opened = ioredis(server)
    cleanups.push(() => opened.end())
    await agrees(opened)
  })

  it('on a cluster', async () => {
    const cluster = await startCluster()
    cleanups.push(() => cluster.stop())
    const opened = ioredisCluster(cluster.nodes.map(({ port }) => port))
    cleanups.push(() => opened.end())
    await agrees(opened)
  })
})

/** Some breakers, each over a client of its own. */
async function fleet(server: RedisServer): Promise<SharedCircuitBreaker[]> {
  const engines = [
    ioredis(server),
    ioredis(server),
    ioredis(server),
    await nodeRedis(server),
    await nodeRedis(server),
  ]
  const breakers = engines.map(
    ({ engine }) =>
      new SharedCircuitBreaker({ engine, name: 'backend', threshold: 3, volumeThreshold: 3, timeout: 300 }),
  )
  cleanups.push(async () => {
    for (const breaker of breakers) await breaker.close()
    for (const { end } of engines) await end()
  })
  await Promise.all(breakers.map((breaker) => breaker.ready()))
  await listenedTo(server, 'guru:breaker:backend', breakers.length)
  return breakers
}

async function listenedTo(server: RedisServer, channel: string, by: number): Promise<void> {
  for (let looks = 0; looks < 10_000; looks += 1) {
    if ((await server.command('PUBSUB', 'NUMSUB', channel)).endsWith(`:${by}`)) return
    await rest(5)
  }
}

async function fail(breaker: SharedCircuitBreaker): Promise<void> {
  for (let call = 0; call < 3; call += 1)
    await breaker.execute(() => Promise.reject(new Error('down'))).catch(() => {})
}

describe.skipIf(!can)('a fleet with one breaker', () => {
  it('hears of changes through a client that prefixes its keys', async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const client = new Redis({ port: server.port, keyPrefix: 'app:' })
    const engine = fromIoredis(client)
    const breaker = new SharedCircuitBreaker({ engine, name: 'backend' })
    cleanups.push(async () => {
      await breaker.close()
      await engine.close()
      client.disconnect()
    })
    const heard: string[] = []
    await engine.subscribe(
      'guru:breaker:backend',
      (message) => heard.push(Buffer.from(message).toString()),
      () => {},
    )
    await breaker.isolate()
    await until(() => heard.length > 0)
    expect(heard[0]).toMatch(/ OPEN -1 /)
    expect(await server.command('EXISTS', 'app:guru:breaker:backend')).toBe('1')
  })

  it('all learn what one learns, one probes, all go on', async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const breakers = await fleet(server)
    const openedAt = performance.now()
    await fail(breakers[0] as SharedCircuitBreaker)
    await until(() => breakers.every(({ state }) => state === 'OPEN'))
    console.info(`opened for all after ${(performance.now() - openedAt).toFixed(1)} ms`)
    await rest(350)
    let probes = 0
    const probe = async () => {
      probes += 1
      await rest(50)
      return 'up'
    }
    const outcomes = await Promise.allSettled(breakers.map((breaker) => breaker.execute(probe)))
    expect(probes).toBe(1)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await until(() => breakers.every(({ state }) => state === 'CLOSED'))
    expect(await Promise.all(breakers.map((breaker) => breaker.execute(async () => 'fine')))).toHaveLength(5)
  })

  it('the server killed: each works on alone; back: they share again', async () => {
    const server = await RedisServer.start()
    cleanups.push(() => server.stop())
    const breakers = await fleet(server)
    const [first, second] = breakers as [SharedCircuitBreaker, SharedCircuitBreaker]
    await server.kill()
    await fail(first)
    await until(() => first.isAlone)
    expect([first.state, second.state]).toEqual(['OPEN', 'CLOSED'])
    expect(await second.execute(async () => 'fine')).toBe('fine')
    await rest(350)
    expect(await first.execute(async () => 'probed alone')).toBe('probed alone')
    expect(first.state).toBe('CLOSED')
    await server.restart()
    await until(() => breakers.every(({ isAlone }) => !isAlone))
    await fail(second)
    await until(() => breakers.every(({ state }) => state === 'OPEN'))
  })
})
