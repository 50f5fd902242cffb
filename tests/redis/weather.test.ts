// Limits and breakers over servers that refuse, are full, may only be read or are too slow: a typed error that says what to do,
// and work goes on in the stated degraded mode.

import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as rest } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { RateLimitError } from '../../src/core/errors.ts'
import { SharedCircuitBreaker } from '../../src/redis/breaker/SharedCircuitBreaker.ts'
import type { EngineError } from '../../src/redis/EngineError.ts'
import { SharedRateLimiter } from '../../src/redis/limits/SharedRateLimiter.ts'
import { type Address, ioredis } from '../support/redisClients.ts'
import { canRunRedis, type RedisConfiguration, RedisServer } from '../support/redisServers.ts'

const can = canRunRedis('shared limits and breakers in bad weather')

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function serve(configuration: RedisConfiguration = {}): Promise<RedisServer> {
  const server = await RedisServer.start(configuration)
  cleanups.push(() => server.stop())
  return server
}

/** A limiter and a breaker at this address, and what was said of the engine. */
function share(address: Address) {
  const { engine, end } = ioredis(address)
  const told: (EngineError | undefined)[] = []
  const limiter = new SharedRateLimiter({
    engine,
    name: 'quota',
    tokensPerSecond: 1000,
    burstCapacity: 100,
    insuranceShare: 0.5,
    onChange: (_, error) => told.push(error),
  })
  const breaker = new SharedCircuitBreaker({
    engine,
    name: 'backend',
    threshold: 2,
    volumeThreshold: 2,
    timeout: 50,
  })
  cleanups.push(async () => {
    await limiter.close()
    await breaker.close()
    await end()
  })
  return { limiter, breaker, told }
}

/** Both say why, and both work. */
async function degrades(
  { limiter, breaker }: ReturnType<typeof share>,
  reasons: readonly string[],
): Promise<void> {
  for (const ready of await Promise.allSettled([limiter.ready(), breaker.ready()])) {
    const error = (ready as PromiseRejectedResult).reason as EngineError | undefined
    expect(error).toMatchObject({ code: 'ENGINE' })
    expect(reasons).toContain(error?.reason)
  }
  expect(limiter.state).toBe('insured')
  await limiter.acquire()
  expect(await breaker.execute(async () => 'fine')).toBe('fine')
  for (let call = 0; call < 2; call += 1)
    await breaker.execute(() => Promise.reject(new Error('down'))).catch(() => {})
  expect(breaker.state).toBe('OPEN')
  await rest(60)
  expect(await breaker.execute(async () => 'probed')).toBe('probed')
}

describe.skipIf(!can)('limits and breakers that are shared', () => {
  it('no permission to run scripts', async () => {
    const server = await serve({ user: 'eve on >word ~* &* +@all -@scripting' })
    await degrades(share({ port: server.port, username: 'eve', password: 'word' }), ['permission'])
  })

  it('a wrong password', async () => {
    const server = await serve({ user: 'default on >right ~* &* +@all' })
    await degrades(share({ port: server.port, password: 'wrong' }), [
      'authentication',
      'unreachable',
      'timeout',
    ])
  })

  it('a replica that may only be read', async () => {
    const primary = await serve()
    const replica = await serve({ replicaof: `127.0.0.1 ${primary.port}` })
    await degrades(share(replica), ['readOnly'])
  })

  it('maxmemory reached, and room again', async () => {
    const server = await serve({ maxmemory: '1' })
    const shared = share(server)
    // To look at a breaker that nobody has ever opened takes no memory.
    const error = (await shared.limiter.ready().catch((reason) => reason)) as EngineError
    expect(error.reason).toBe('full')
    await shared.limiter.acquire()
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    for (let looks = 0; shared.limiter.state !== 'shared' && looks < 9000; looks += 1) await rest(10)
    expect(shared.limiter.state).toBe('shared')
    expect(shared.told.map((each) => each?.reason)).toEqual(['full', undefined])
  })

  it('nobody there', async () => {
    const server = await RedisServer.start()
    await server.stop()
    await degrades(share(server), ['unreachable', 'timeout'])
  })

  it('two seconds of latency', async () => {
    const server = await serve()
    const slow = await slowLine(server.port, 1000)
    await degrades(share({ port: slow }), ['timeout'])
  })

  it('a server that stands still: no call waits longer than the timeout, none is lost', async () => {
    const server = await serve()
    const { limiter } = share(server)
    await limiter.ready()
    server.freeze()
    let allowed = 0
    for (let call = 0; call < 100; call += 1) {
      await limiter.acquire({ deadlineAt: performance.now() + 5000 })
      allowed += 1
    }
    expect(allowed).toBe(100)
    await expect(limiter.check({ cost: 90 })).rejects.toBeInstanceOf(RateLimitError)
    server.thaw()
    for (let looks = 0; limiter.state !== 'shared' && looks < 9000; looks += 1) await rest(10)
    expect(limiter.state).toBe('shared')
  })

  it('the permissions that the page names suffice', async () => {
    const server = await serve({
      user: 'app on >word ~guru:* &guru:* +@connection +@scripting +info +time +hmget +hset +hgetall +hdel +pexpire +persist +publish +subscribe +unsubscribe',
    })
    const { limiter, breaker } = share({ port: server.port, username: 'app', password: 'word' })
    await limiter.ready()
    await breaker.ready()
    await limiter.acquire()
    await breaker.isolate()
    await breaker.reset()
    expect([limiter.state, breaker.isAlone]).toEqual(['shared', false])
  })
})

/** A line to `port` on which everything takes `ms` milliseconds longer, each way. */
async function slowLine(port: number, ms: number): Promise<number> {
  const sockets = new Set<Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from)
    from.on('data', (bytes) => {
      const timer = setTimeout(() => {
        timers.delete(timer)
        to.write(bytes)
      }, ms)
      timers.add(timer)
    })
    from.on('error', () => {})
    from.on('close', () => to.destroy())
  }
  const line = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    pass(near, far)
    pass(far, near)
  })
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const timer of timers) clearTimeout(timer)
    for (const socket of sockets) socket.destroy()
    line.close()
  })
  return (line.address() as { port: number }).port
}
