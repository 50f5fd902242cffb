// The three-method adapters over real servers: every client, over one server, Sentinel and a cluster.

import { randomBytes } from 'node:crypto'
import { setTimeout as rest } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SharedCircuitBreaker } from '../../src/redis/breaker/SharedCircuitBreaker.ts'
import { EngineCalls } from '../../src/redis/EngineCalls.ts'
import { SharedRateLimiter } from '../../src/redis/limits/SharedRateLimiter.ts'
import { Script } from '../../src/redis/Script.ts'
import {
  canRunGlide,
  glide,
  glideCluster,
  ioredis,
  ioredisCluster,
  ioredisSentinel,
  nodeRedis,
  nodeRedisCluster,
  nodeRedisSentinel,
  type OpenedEngine,
} from '../support/redisClients.ts'
import {
  canRunRedis,
  type RedisCluster,
  RedisServer,
  startCluster,
  startSentinel,
} from '../support/redisServers.ts'

const can = canRunRedis('the adapters of Redis clients')

/** Waits for what must come, by looking. */
async function until(isSo: () => boolean): Promise<void> {
  for (let looks = 0; !isSo() && looks < 9000; looks += 1) await rest(10)
  expect(isSo()).toBe(true)
}

const SUM = new Script(
  'sum',
  `redis.call('SET', KEYS[1], ARGV[1])
   return {tonumber(ARGV[2]) + 1, redis.call('GET', KEYS[1]), false, {'inner'}}`,
)

function works(open: () => Promise<OpenedEngine> | OpenedEngine): void {
  let opened: OpenedEngine
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(() => opened?.end())

  it('carries bytes both ways as they are', async () => {
    const bytes = new Uint8Array(randomBytes(300))
    const key = `bytes:${Math.random()}`
    await opened.engine.command(['SET', key, bytes], key)
    const back = await opened.engine.command(['GET', key], key)
    expect(Buffer.from(back as Uint8Array).equals(bytes)).toBe(true)
    expect(await opened.engine.command(['GET', `${key}:none`], `${key}:none`)).toBeNull()
  })

  it('runs a script whether or not the server knows it, wherever its keys are', async () => {
    const calls = new EngineCalls(opened.engine, { timeout: 5000 })
    for (let turn = 0; turn < 8; turn += 1) {
      const key = `{slot ${turn}}:${Math.random()}`
      const reply = await calls.run(SUM, [key], [new Uint8Array([0, 255, turn]), '41'])
      const [number, bytes, nothing, inner] = reply as [number, Uint8Array, null, [Uint8Array]]
      expect([number, [...bytes], nothing, Buffer.from(inner[0]).toString()]).toEqual([
        42,
        [0, 255, turn],
        null,
        'inner',
      ])
    }
  })

  it('an error of the engine begins in the words of the engine', async () => {
    await expect(opened.engine.command(['EVALSHA', '0'.repeat(40), '1', 'a'], 'a')).rejects.toThrow(
      /^NOSCRIPT /,
    )
    await opened.engine.command(['SET', 'text', 'x'], 'text')
    await expect(opened.engine.command(['LPUSH', 'text', 'x'], 'text')).rejects.toThrow(/^WRONGTYPE /)
  })

  it('carries a shared limit and a shared breaker', async () => {
    const { engine } = opened
    const name = `here ${Math.random()}`
    // GLIDE's own first command to a cluster may take its time.
    const limit = { engine, name, tokensPerSecond: 1000, burstCapacity: 50, timeout: 3000 }
    const limiters = [new SharedRateLimiter(limit), new SharedRateLimiter(limit)]
    await Promise.all(limiters.map((limiter) => limiter.ready()))
    await Promise.all(limiters.flatMap((limiter) => Array.from({ length: 40 }, () => limiter.acquire())))
    expect(limiters.map(({ state }) => state)).toEqual(['shared', 'shared'])
    await Promise.all(limiters.map((limiter) => limiter.close()))

    const breakers = [1, 2].map(() => new SharedCircuitBreaker({ engine, name, engineTimeout: 3000 }))
    await Promise.all(breakers.map((breaker) => breaker.ready()))
    await breakers[0]?.isolate()
    await until(() => breakers[1]?.state === 'OPEN')
    await breakers[1]?.reset()
    await until(() => breakers[0]?.state === 'CLOSED')
    await Promise.all(breakers.map((breaker) => breaker.close()))
  })

  it('hears what is published on its channels, and no more after it has left', async () => {
    const heard: string[] = []
    const listen = (name: string) =>
      opened.engine.subscribe(
        name,
        (message) => heard.push(`${name} ${Buffer.from(message).toString()}`),
        () => {},
      )
    const leaveOne = await listen('one')
    const leaveTwo = await listen('two')
    const leaveTwoAgain = await listen('two')
    await opened.engine.command(['PUBLISH', 'one', 'a'], undefined)
    await opened.engine.command(['PUBLISH', 'two', 'b'], undefined)
    await until(() => heard.length >= 3)
    expect(heard.toSorted()).toEqual(['one a', 'two b', 'two b'])
    await leaveOne()
    await leaveTwoAgain()
    await opened.engine.command(['PUBLISH', 'one', 'c'], undefined)
    await opened.engine.command(['PUBLISH', 'two', 'd'], undefined)
    await until(() => heard.length >= 4)
    expect(heard[3]).toBe('two d')
    await leaveTwo()
  })
}

describe.skipIf(!can)('over one server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())

  describe('ioredis', () => works(() => ioredis(server)))
  describe('node-redis', () => works(() => nodeRedis(server)))
  describe.skipIf(!canRunGlide)('GLIDE', () => works(() => glide(server)))
})

describe.skipIf(!can)('over a cluster of three', () => {
  let cluster: RedisCluster
  const ports = () => cluster.nodes.map(({ port }) => port)
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster?.stop())

  describe('ioredis', () => works(() => ioredisCluster(ports())))
  describe('node-redis', () => works(() => nodeRedisCluster(ports())))
  describe.skipIf(!canRunGlide)('GLIDE', () => works(() => glideCluster(ports())))
})

/** A line of its own that is heard again after a cut, with word of the gap. */
async function survives(opened: OpenedEngine, cut: () => Promise<unknown>): Promise<void> {
  const heard: string[] = []
  let gaps = 0
  const leave = await opened.engine.subscribe(
    'news',
    (message) => heard.push(Buffer.from(message).toString()),
    () => {
      gaps += 1
    },
  )
  // What is published is not kept for anybody: it is said until it is heard.
  const say = async (word: string) => {
    for (let tries = 0; !heard.includes(word) && tries < 500; tries += 1) {
      await opened.engine.command(['PUBLISH', 'news', word], undefined).catch(() => {})
      await rest(20)
    }
    expect(heard).toContain(word)
  }
  await say('before')
  const gapsBefore = gaps
  await cut()
  await until(() => gaps > gapsBefore)
  await say('after')
  await leave()
}

describe.skipIf(!can)('when the server dies and comes back', () => {
  const clients = { ioredis, 'node-redis': nodeRedis, ...(canRunGlide && { GLIDE: glide }) }
  it.each(Object.entries(clients))(
    '%s listens again and says that it may have missed something',
    async (_, open) => {
      const server = await RedisServer.start()
      const opened = await open(server)
      try {
        await survives(opened, async () => {
          await server.kill()
          await rest(100)
          await server.restart()
        })
      } finally {
        await opened.end()
        await server.stop()
      }
    },
  )
})

describe.skipIf(!can)('when a node of the cluster dies', () => {
  const clients = { ioredis: ioredisCluster, 'node-redis': nodeRedisCluster }
  it.each(Object.entries(clients))('%s goes on listening at another', async (_, open) => {
    const cluster = await startCluster(3, { 'cluster-require-full-coverage': 'no' })
    const opened = await open(cluster.nodes.map(({ port }) => port))
    try {
      await survives(opened, async () => {
        // Whichever it listens to.
        for (const node of cluster.nodes) {
          const listeners = await node.command('PUBSUB', 'NUMSUB', 'news')
          if (!/:1$/.test(listeners)) continue
          await node.kill()
          return
        }
        throw new Error('nobody listens')
      })
    } finally {
      await opened.end()
      await cluster.stop()
    }
  })
})

describe.skipIf(!can)('through Sentinel', () => {
  const clients = { ioredis: ioredisSentinel, 'node-redis': nodeRedisSentinel }
  describe.each(Object.entries(clients))('%s', (_, open) => {
    let primary: RedisServer
    let replica: RedisServer
    let sentinel: RedisServer
    beforeAll(async () => {
      primary = await RedisServer.start()
      replica = await RedisServer.start({ replicaof: `127.0.0.1 ${primary.port}` })
      sentinel = await startSentinel(primary)
      for (let looks = 0; looks < 5000; looks += 1) {
        if ((await sentinel.command('INFO', 'sentinel')).includes('slaves=1')) return
        await rest(20)
      }
    })
    afterAll(async () => {
      for (const server of [sentinel, replica, primary]) await server?.stop()
    })

    works(() => open(sentinel.port))

    it('follows a failover and listens to the new primary', async () => {
      const opened = await open(sentinel.port)
      try {
        await survives(opened, () => primary.kill())
        await opened.engine.command(['SET', 'there', 'yes'], 'there')
        expect(await replica.command('GET', 'there')).toBe('yes')
      } finally {
        await opened.end()
      }
    })
  })
})
