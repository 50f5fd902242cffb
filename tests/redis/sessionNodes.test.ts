// Several servers on one engine: a client may come to any of them, and messages may come from any process.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import { SessionSender } from '../../src/server/SessionSender.ts'
import { until } from '../support/misbehavingServer.ts'
import { ioredis, ioredisCluster, nodeRedis, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, type RedisCluster, RedisServer, startCluster } from '../support/redisServers.ts'
import { Node, type NodeOptions } from '../support/sessionNodes.ts'

const engines: readonly {
  name: string
  start(): Promise<{ open: () => OpenedEngine | Promise<OpenedEngine>; stop(): Promise<void> }>
}[] = [
  {
    name: 'one server, through ioredis',
    async start() {
      const server = await RedisServer.start()
      return { open: () => ioredis({ port: server.port }), stop: () => server.stop() }
    },
  },
  {
    name: 'one server, through node-redis',
    async start() {
      const server = await RedisServer.start()
      return { open: () => nodeRedis({ port: server.port }), stop: () => server.stop() }
    },
  },
  {
    name: 'a cluster, through ioredis',
    async start() {
      const cluster: RedisCluster = await startCluster()
      return { open: () => ioredisCluster(cluster.nodes.map(({ port }) => port)), stop: () => cluster.stop() }
    },
  },
]

describe.skipIf(!canRunRedis('server nodes on one engine')).each(engines)('nodes on $name', ({ start }) => {
  let place: Awaited<ReturnType<(typeof engines)[0]['start']>>
  let prefixes = 0
  const nodes: Node[] = []
  const ends: (() => unknown)[] = []
  beforeAll(async () => {
    place = await start()
  })
  afterAll(() => place.stop())
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
    for (const node of nodes.splice(0)) await node.end()
    prefixes += 1
  })

  async function startNode(options: Partial<NodeOptions> = {}): Promise<Node> {
    const node = await Node.start({
      open: place.open,
      ...options,
      store: { prefix: `test${prefixes}:`, ...options.store },
    })
    nodes.push(node)
    return node
  }

  /** A process that is no server. */
  async function startSender(options: { receiptTimeout?: number; maxPosted?: number } = {}) {
    const opened = await place.open()
    const { maxPosted, ...rest } = options
    const store = redisSessionStore({
      engine: opened.engine,
      prefix: `test${prefixes}:`,
      ...(maxPosted && { maxPosted }),
    })
    const sender = new SessionSender({ store, ...rest })
    ends.push(async () => {
      sender.close()
      await store.close()
      await opened.end()
    })
    return sender
  }

  it('a client resumes on another node: the first lets go, and nothing is handled twice', async () => {
    const [one, two] = [await startNode(), await startNode()]
    const first = one.client()
    const opened = await first.open()
    first.say('1:a', '2:b')
    await first.acked(2)
    const receipt = one.session.send('while away')
    await receipt.stored
    const second = two.client()
    expect(await second.resume(opened, 1, 0, '3:c')).toMatchObject({ rx: 2 })
    expect(await second.heard(1)).toEqual(['1:while away'])
    await second.acked(3)
    expect(await first.closing()).toMatchObject({ code: 1001 })
    expect([one.handled, two.handled]).toEqual([['a', 'b'], ['c']])
    expect(one.ends).toEqual([{ reason: 'takenOver', inDoubt: [] }])
    // And back.
    await second.cut()
    const third = one.client()
    expect(await third.resume(opened, 2, 1, '4:d')).toMatchObject({ rx: 3 })
    await third.acked(4)
    expect(one.handled).toEqual(['a', 'b', 'd'])
    expect([...one.errors, ...two.errors]).toEqual([])
  })

  it('waits for the handlers of the first, and hands over again only those that take too long', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let given = 0
    const handle: NodeOptions['handle'] = (data) => {
      given += 1
      return given <= 2 ? (data === 'slow' ? held : new Promise(() => {})) : undefined
    }
    const [one, two] = [await startNode({ handle, server: { handoverTimeout: 700 } }), await startNode()]
    const first = one.client()
    const opened = await first.open()
    first.say('1:slow', '2:endless')
    await until(() => one.handled.length === 2, 'both are being handled')
    const second = two.client()
    const resumed = second.resume(opened, 1, 0)
    await first.closing()
    release()
    expect(await resumed).toMatchObject({ rx: 1 })
    second.say('2:endless')
    await second.acked(2)
    expect(two.handled).toEqual(['endless?'])
  })

  it('a stranger, and a ghost of an older connection, take nothing from anybody', async () => {
    const [one, two] = [await startNode(), await startNode()]
    const first = one.client()
    const opened = await first.open()
    await first.cut()
    const current = one.client()
    await current.resume(opened, 5, 0)
    const stranger = two.client()
    await expect(stranger.resume({ sid: opened.sid, key: 'guessed' }, 9, 0)).rejects.toThrow('4410')
    const ghost = two.client()
    await expect(ghost.resume(opened, 4, 0)).rejects.toThrow('4409')
    // It may be the client itself, whose first answer was lost: it has to come once more.
    await expect(two.client().resume(opened, 5, 0)).rejects.toThrow('1001')
    await expect(two.client().resume({ sid: 'unknown', key: 'k' }, 1, 0)).rejects.toThrow('4410')
    current.say('1:still here')
    await current.acked(1)
    expect(one.ends).toEqual([])
  })

  it('the sessions of a node that is gone are taken up by others, and expire there', async () => {
    const [one, two] = [
      await startNode({ store: { lease: 300 } }),
      await startNode({ store: { lease: 300 }, server: { ttl: 1500 } }),
    ]
    const first = one.client()
    const opened = await first.open()
    const other = one.client()
    await other.open({ ttl: 50 })
    const receipt = one.session.send('for nobody')
    await receipt.stored
    // As a death would: the engine hears nothing more.
    nodes.splice(nodes.indexOf(one), 1)
    await one.opened.end()
    await until(() => two.server.sessions.size > 0, 'the other node takes them up')
    await until(() => two.ends.length > 0, 'the short one expires')
    expect(two.ends[0]).toMatchObject({ reason: 'expired', inDoubt: [{ data: 'for nobody' }] })
    const again = two.client()
    expect(await again.resume(opened, 1, 0)).toMatchObject({ rx: 0 })
    await one.server.close({ graceMs: 0 })
  })

  it('any process sends to a session: where it is, while its client is away, and after its node has gone', async () => {
    const [one, two] = [await startNode(), await startNode()]
    const sender = await startSender()
    const first = one.client()
    const opened = await first.open()
    const connected = sender.send(opened.sid, { to: 'a connected one' })
    expect(await first.heard(1)).toEqual(['1:{"to":"a connected one"}'])
    await connected.stored
    first.say({ t: 'ack', rx: 1 })
    await connected.delivered
    const fromNode = two.server.sendTo(opened.sid, 'from the other node')
    expect((await first.heard(2))[1]).toBe('2:from the other node')
    first.say({ t: 'ack', rx: 2 })
    await fromNode.delivered
    await first.cut()
    const away = sender.send(opened.sid, 'while it is away')
    await away.stored
    await until(() => one.session.queuedMessages === 1, 'its owner has taken it')
    await one.server.close()
    const receipts = [1, 2, 3].map((n) => sender.send(opened.sid, `nobody's ${n}`))
    await Promise.all(receipts.map(({ stored }) => stored))
    const second = two.client()
    await second.resume(opened, 1, 2)
    expect(await second.heard(4)).toEqual([
      '3:while it is away',
      "4:nobody's 1",
      "5:nobody's 2",
      "6:nobody's 3",
    ])
    second.say({ t: 'ack', rx: 6 })
    await Promise.all(receipts.map(({ delivered }) => delivered))
    // Its first owner was gone before it could say what became of it.
    await expect(away.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
  })

  it('says why a message is not taken', async () => {
    const one = await startNode()
    const sender = await startSender({ receiptTimeout: 300, maxPosted: 2 })
    await expect(sender.send('nobody', 'x').stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    expect(() => sender.send('nobody', '')).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
    const client = one.client()
    const { sid } = await client.open()
    await one.server.close()
    const kept = [sender.send(sid, '1'), sender.send(sid, '2')]
    await Promise.all(kept.map(({ stored }) => stored))
    await expect(sender.send(sid, '3').stored).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    await expect(kept[0]?.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
  })

  it('sends to all sessions of all nodes', async () => {
    const [one, two] = [await startNode(), await startNode()]
    const sender = await startSender()
    const clients = [one.client(), one.client(), two.client()]
    for (const client of clients) await client.open()
    expect(await sender.broadcast('to all')).toBe(3)
    for (const client of clients) expect(await client.heard(1)).toEqual(['1:to all'])
    expect(await one.server.broadcastToAll('again')).toBe(3)
    for (const client of clients) expect((await client.heard(2))[1]).toBe('2:again')
    await sender.broadcast('now', { volatile: true })
    for (const client of clients) await until(() => client.frames.includes(':now'), 'the volatile one comes')
  })

  it('what was posted and not taken when a session ends is told to its sender', async () => {
    const one = await startNode()
    const sender = await startSender()
    const client = one.client()
    const { sid } = await client.open()
    one.session.close()
    const late = sender.send(sid, 'late')
    await expect(late.delivered).rejects.toMatchObject({ code: 'SESSION_LOST' })
  })
})
