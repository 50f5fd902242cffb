// Bad weather for sessions on an engine: it is away, slow, full, a replica, or has forgotten. Each is explained by an error with a
// reason, or weathered as docs/scale-out.md says; nothing hangs.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as rest } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { GuruConnection } from '../../src/GuruConnection.ts'
import type { RedisEngine } from '../../src/redis/RedisEngine.ts'
import { redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import { createBackend } from '../../src/server/createBackend.ts'
import { until } from '../support/misbehavingServer.ts'
import { ioredis, ioredisSentinel, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, type RedisConfiguration, RedisServer, startSentinel } from '../support/redisServers.ts'
import { Node, type NodeOptions } from '../support/sessionNodes.ts'

const DURABLE = { appendonly: 'yes', appendfsync: 'always' } as const

const servers: RedisServer[] = []
const nodes: Node[] = []
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.end()
  for (const server of servers.splice(0)) await server.stop()
})

async function startServer(configuration: RedisConfiguration = {}): Promise<RedisServer> {
  const server = await RedisServer.start(configuration)
  servers.push(server)
  return server
}

async function startNode(server: { port: number }, options: Partial<NodeOptions> = {}): Promise<Node> {
  const node = await Node.start({
    open: () => ioredis({ port: server.port }),
    ...options,
    store: { lease: 1500, timeout: 500, ...options.store },
  })
  nodes.push(node)
  return node
}

const failure = (reason: string) => expect.objectContaining({ code: 'STORAGE', reason })

/** How far the history of its writes goes, of a primary or a replica. */
function replicationOffset(info: string): number {
  return Number(/^(?:slave_repl_offset|master_repl_offset):(\d+)/m.exec(info)?.[1])
}

describe.skipIf(!canRunRedis('sessions in bad weather'))('sessions, when the engine', () => {
  it('is away from the beginning: who comes is refused with a reason, until it is there', async () => {
    const server = await startServer()
    await server.kill()
    const node = await startNode(server)
    await expect(node.client().open()).rejects.toThrow(/closed with/)
    await expect(node.client().resume({ sid: 'some', key: 'k' }, 1, 0)).rejects.toThrow('1011')
    expect(node.errors).toContainEqual(failure('unavailable'))
    await server.restart()
    // As a client would, until the connections to the engine are there again.
    let sid = ''
    for (let tries = 0; sid === '' && tries < 50; tries += 1) {
      sid = await node
        .client()
        .open()
        .then(
          (opened) => opened.sid,
          () => '',
        )
    }
    expect(sid).not.toBe('')
  })

  it('is killed and comes back within the lease: nobody notices but by the delay', async () => {
    const server = await startServer(DURABLE)
    const node = await startNode(server, { store: { lease: 6000 } })
    const client = node.client()
    await client.open()
    client.say('1:before')
    await client.acked(1)
    await server.kill()
    client.say('2:meanwhile')
    const receipt = node.session.send('meanwhile')
    await until(() => node.errors.length > 0, 'somebody is told')
    expect(node.errors).toEqual([failure('unavailable')])
    await server.restart()
    await client.acked(2)
    await receipt.stored
    expect(await client.heard(1)).toEqual(['1:meanwhile'])
    expect([node.ends, client.closed]).toEqual([[], undefined])
    expect(node.handled).toEqual(['before', 'meanwhile'])
  })

  it('is away for longer than the lease: the node lets go and says what is in doubt; the session goes on when it is back', async () => {
    const server = await startServer(DURABLE)
    const node = await startNode(server)
    const client = node.client()
    const opened = await client.open()
    client.say('1:before')
    await client.acked(1)
    const kept = node.session.send('kept')
    await kept.stored
    await server.kill()
    const unsure = node.session.send('unsure')
    expect(await client.closing()).toMatchObject({ code: 1001 })
    await expect(unsure.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    await until(() => node.ends.length === 1, 'the end is told')
    expect(node.ends).toEqual([{ reason: 'leaseLost', inDoubt: [{ id: unsure.id, data: 'unsure' }] }])
    await server.restart()
    const again = node.client()
    const resumed = await again.resume(opened, 1, 0, '2:after').catch(async () => {
      // The client of the engine may need a moment more.
      await new Promise((resolve) => setTimeout(resolve, 500))
      return node.client().resume(opened, 2, 0, '2:after')
    })
    expect(resumed).toMatchObject({ rx: 1 })
    await until(() => node.handled.length === 2, 'what comes after is handled')
    expect(node.handled).toEqual(['before', 'after?'])
    expect(node.store.getStats().lapses).toBe(1)
  })

  it('stands still: a write is given up when the lease is, not later', async () => {
    const server = await startServer()
    const node = await startNode(server)
    const client = node.client()
    await client.open()
    server.freeze()
    const began = performance.now()
    await expect(node.session.send('x').stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    expect(performance.now() - began).toBeLessThan(6000)
    server.thaw()
  })

  it('is cut off: the health route says so before the lease is over, and that it is back', async () => {
    const server = await startServer()
    const opened = ioredis({ port: server.port })
    const store = redisSessionStore({ engine: opened.engine, lease: 5000, timeout: 500 })
    const backend = await createBackend({ port: 0, store })
    const health = async () => (await fetch(`${backend.url}/v1/health`)).status
    try {
      const connection = new GuruConnection({
        url: `${backend.url.replace('http', 'ws')}/ws`,
        session: 'required',
      })
      await connection.send({ type: 'ping' }).delivered
      expect(await health()).toBe(200)
      server.freeze()
      while ((await health()) !== 503) await rest(50)
      expect(store.getStats()).toMatchObject({ holds: true, lapses: 0 })
      server.thaw()
      while ((await health()) !== 200) await rest(50)
      connection.dispose()
    } finally {
      server.thaw()
      await backend.close({ graceMs: 0 })
      await store.close()
      await opened.end()
    }
  })

  it('is a replica: it is said so', async () => {
    const primary = await startServer()
    const replica = await startServer({ replicaof: `${primary.host} ${primary.port}` })
    const node = await startNode(replica)
    await expect(node.client().open()).rejects.toThrow(/closed with/)
    expect(node.errors).toContainEqual(failure('readOnly'))
  })

  it('is full: what clients say is still acknowledged, what would need room ends its session and says so', async () => {
    const server = await startServer({ 'maxmemory-policy': 'noeviction' })
    const node = await startNode(server, { store: { patience: 300 } })
    const client = node.client()
    await client.open()
    const receipt = node.session.send('kept')
    await receipt.stored
    await server.command('CONFIG', 'SET', 'maxmemory', '1mb')
    client.say('1:in', { t: 'ack', rx: 1 })
    await client.acked(1)
    await receipt.delivered
    expect(node.errors).toEqual([])
    const refused = node.session.send('no room')
    await expect(refused.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    await until(() => node.ends.length === 1, 'the end is told')
    expect(node.ends).toEqual([{ reason: 'storage', inDoubt: [{ id: refused.id, data: 'no room' }] }])
    expect(node.errors).toEqual([failure('full')])
    expect(await client.closing()).toMatchObject({ code: 4410 })
    // It has made room.
    expect(await server.command('KEYS', 'guru:{*')).toBe('')
    expect(node.store.getStats().holds).toBe(true)
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    expect((await node.client().open()).sid).not.toBe('')
  })

  it('answers after 2 s: all works, and takes its time', async () => {
    const server = await startServer()
    const slow = (): OpenedEngine => {
      const { engine, end } = ioredis({ port: server.port })
      const late: RedisEngine = {
        async command(args, key) {
          await new Promise((resolve) => setTimeout(resolve, 1000))
          const reply = await engine.command(args, key)
          await new Promise((resolve) => setTimeout(resolve, 1000))
          return reply
        },
        subscribe: (...channel) => engine.subscribe(...channel),
        close: () => engine.close(),
      }
      return { engine: late, end }
    }
    const node = await startNode(server, { open: slow, store: { lease: 10_000, timeout: 5000 } })
    const client = node.client()
    await until(() => client.socket.readyState === 1, 'it is connected')
    client.say({ t: 'open' })
    await until(() => client.control('opened') !== undefined, 'it opens')
    client.say('1:a')
    await until(() => client.control('ack') !== undefined, 'an acknowledgement comes')
    expect([node.handled, node.ends, node.errors]).toEqual([['a'], [], []])
    expect(node.store.getStats().lastMs).toBeGreaterThan(1900)
  })

  it('has lost messages of a session: nobody goes on with it, and its client hears that it is gone', async () => {
    const server = await startServer()
    const [one, two] = [await startNode(server), await startNode(server)]
    const client = one.client()
    const opened = await client.open()
    await one.session.send('lost').stored
    await server.command('DEL', `guru:{${opened.sid}}:m`)
    await expect(two.client().resume(opened, 1, 0)).rejects.toThrow('4410')
    await until(() => two.errors.length > 0, 'it is said')
    expect(two.errors).toEqual([failure('corrupt')])
  })

  it('has forgotten what it had confirmed, as a failover may: the owner notices and says what is in doubt', async () => {
    const server = await startServer({ save: '""' })
    const node = await startNode(server)
    const client = node.client()
    const { sid } = await client.open()
    const key = `guru:{${sid}}`
    const early = node.session.send('early')
    await early.stored
    // An older copy of the session takes its place.
    await server.command('COPY', key, `${key}:copy`)
    const later = node.session.send('later')
    await later.stored
    await server.command('COPY', `${key}:copy`, key, 'REPLACE')
    client.say('1:a')
    await until(() => node.ends.length === 1, 'the loss is noticed')
    expect(node.ends).toEqual([
      {
        reason: 'storage',
        inDoubt: [
          { id: early.id, data: 'early' },
          { id: later.id, data: 'later' },
        ],
      },
    ])
    expect(node.errors).toContainEqual(failure('corrupt'))
    expect(await client.closing()).toMatchObject({ code: 4410 })
  })

  it('fails over (Sentinel): what had reached the replica goes on there', async () => {
    const primary = await startServer()
    const replica = await startServer({ replicaof: `${primary.host} ${primary.port}` })
    const sentinel = await startSentinel(primary)
    servers.push(sentinel)
    while (!(await primary.command('INFO', 'replication')).includes('state=online')) await rest(50)
    while (!(await sentinel.command('SENTINEL', 'REPLICAS', 'main')).includes(`${replica.port}`))
      await rest(50)
    const node = await startNode(primary, {
      open: () => ioredisSentinel(sentinel.port),
      store: { lease: 30_000, timeout: 2000 },
    })
    const client = node.client()
    await client.open()
    client.say('1:before')
    await client.acked(1)
    const kept = node.session.send('kept')
    await kept.stored
    // Not by WAIT, which knows of its own connection's writes only.
    const written = replicationOffset(await primary.command('INFO', 'replication'))
    while (replicationOffset(await replica.command('INFO', 'replication')) < written) await rest(5)
    await primary.kill()
    client.say({ t: 'ack', rx: 1 }, '2:after')
    const later = node.session.send('later')
    await until(() => (client.control('ack')?.rx as number) >= 2, 'the acknowledgement comes')
    await later.stored
    expect([node.handled, node.ends, client.closed]).toEqual([['before', 'after'], [], undefined])
    expect(await client.heard(2)).toEqual(['1:kept', '2:later'])
  })

  it('lets its user do no more than docs/scale-out.md says: all works', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/scale-out.md'), 'utf8')
    const [, rules = ''] = /^ACL SETUSER node on >password (.*)$/m.exec(page) ?? []
    const server = await startServer({
      user: ['default on nopass ~* &* +@all', `node on >password ${rules}`],
    })
    const open = () => ioredis({ port: server.port, username: 'node', password: 'password' })
    const [one, two] = [await startNode(server, { open }), await startNode(server, { open })]
    const client = one.client()
    const opened = await client.open()
    client.say('1:a')
    await client.acked(1)
    await two.server.sendTo(opened.sid, 'posted').stored
    expect(await client.heard(1)).toEqual(['1:posted'])
    const again = two.client()
    expect(await again.resume(opened, 1, 1)).toMatchObject({ rx: 1 })
    expect(await two.server.broadcastToAll('to all')).toBe(1)
    expect(await again.heard(1)).toEqual(['2:to all'])
    two.session.close()
    await again.closing()
    await one.server.close()
    // The sessions of the one that has left are looked for.
    await until(() => two.store.getStats().calls > 40, 'the other looks for its sessions')
    expect([...one.errors, ...two.errors]).toEqual([])
    const log = await server.command('ACL', 'LOG')
    expect(log).not.toContain('reason')
  })

  it('refuses for ever: a missing permission is said at once, and nothing is tried again', async () => {
    const server = await startServer({
      user: ['default off', 'bob on >secret ~guru:* &guru:* +@all -evalsha -eval'],
    })
    const node = await startNode(server, {
      open: () => ioredis({ port: server.port, username: 'bob', password: 'secret' }),
    })
    await expect(node.client().open()).rejects.toThrow(/closed with/)
    const [error] = node.errors as { message: string }[]
    expect(error?.message).toMatch(/ACL/)
    expect(JSON.stringify(error)).not.toMatch(/secret/)
  })
})

describe('redisSessionStore', () => {
  it('checks its options', () => {
    const engine = { command: async () => null, subscribe: async () => async () => {}, close: async () => {} }
    expect(() => redisSessionStore({} as never)).toThrow(/"engine"/)
    expect(() => redisSessionStore({ engine, lease: 5 })).toThrow(/"lease".*milliseconds/)
    expect(() => redisSessionStore({ engine, prefix: 1 as never })).toThrow(/"prefix"/)
  })

  it('serves one server only', async () => {
    const { SessionServer } = await import('../../src/server/SessionServer.ts')
    const engine = { command: async () => null, subscribe: async () => async () => {}, close: async () => {} }
    const store = redisSessionStore({ engine })
    new SessionServer({ store }).onSession(() => {})
    expect(() => new SessionServer({ store }).onSession(() => {})).toThrow(/a store of its own/)
    await store.close()
  })
})
