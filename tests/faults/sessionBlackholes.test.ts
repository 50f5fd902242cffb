// A network that swallows what is sent, silently, in one direction or both: the heartbeat notices (how soon is tested on
// virtual time), the next connection takes the session up, nothing is lost.

import { afterEach, describe, expect, it } from 'vitest'
import { SessionRun, until } from './sessionRun.ts'
import { type Direction, startProxy } from './tcpProxy.ts'

const HEARTBEAT = { pingInterval: 300, pongTimeout: 500 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start() {
  const run = new SessionRun({
    durable: false,
    client: { ...HEARTBEAT, connectTimeout: 1000 },
    server: HEARTBEAT,
  })
  cleanups.push(() => run.end())
  const { port } = await run.startServer()
  const proxy = await startProxy(port)
  cleanups.push(() => proxy.close())
  await run.startClient(proxy.port)
  return { run, proxy }
}

/** Messages go both ways. */
async function traffic(run: SessionRun): Promise<void> {
  const [client, server] = [run.handled('client'), run.handled('server')]
  await until(() => run.handled('client') > client + 20 && run.handled('server') > server + 20)
}

async function judge(run: SessionRun): Promise<void> {
  await traffic(run)
  await run.finish()
  expect(run.judge()).toEqual([])
  expect([...run.lost('client'), ...run.lost('server')]).toEqual([])
}

const silence = { what: 'error', code: 'TIMEOUT', phase: 'idle' }

describe('a connection whose bytes vanish', () => {
  const directions: readonly [string, readonly Direction[]][] = [
    ['in both directions', ['up', 'down']],
    ['on the way to the client', ['down']],
  ]
  it.each(directions)('%s: the client notices by its heartbeat and resumes', async (_where, swallowed) => {
    const { run, proxy } = await start()
    for (let round = 0; round < 3; round += 1) {
      await traffic(run)
      const opens = run.count('client', 'open')
      const errors = run.count('client', 'error')
      proxy.connections.at(-1)?.swallow(...swallowed)
      await until(() => run.count('client', 'error') > errors)
      await until(() => run.count('client', 'open') > opens)
    }
    await judge(run)
    expect(run.lines).toContainEqual(expect.objectContaining(silence))
  })

  it('on the way to the server: the server notices by its heartbeat, although it can still be heard', async () => {
    const { run, proxy } = await start()
    for (let round = 0; round < 3; round += 1) {
      await traffic(run)
      const opens = run.count('client', 'open')
      const gone = run.count('server', 'disconnected')
      proxy.connections.at(-1)?.swallow('up')
      await until(() => run.count('server', 'disconnected') > gone)
      await until(() => run.count('client', 'open') > opens)
    }
    await judge(run)
  })

  it('from the first byte on: attempts end after connectTimeout, and the first that gets through resumes', async () => {
    const { run, proxy } = await start()
    await traffic(run)
    // Where new connections go, nobody answers: not a port that refuses, a line that swallows.
    const hole = await startProxy(proxy.target, (connection) => connection.swallow('up', 'down'))
    cleanups.push(() => hole.close())
    const { target } = proxy
    proxy.target = hole.port
    proxy.connections.at(-1)?.swallow('up', 'down')
    await until(() => hole.connections.length >= 3)
    proxy.target = target
    await judge(run)
    expect(run.lines).toContainEqual(expect.objectContaining({ ...silence, phase: 'connect' }))
  })
})
