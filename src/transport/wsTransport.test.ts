import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { GuruConnection } from '../GuruConnection.ts'
import { openWebSocket } from './wsTransport.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

async function connect() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = new GuruConnection({ url: `ws://127.0.0.1:${port}`, healthUrl: false })
  cleanups.push(
    () => server.close(),
    () => connection.dispose(),
  )
  return { server, connection }
}

describe('the WebSocket in Node', () => {
  it('a burst of one turn travels together, in order, and its first frame is not held back', async () => {
    const { server, connection } = await connect()
    let chunks = 0
    const heard: number[] = []
    const all = new Promise<void>((resolve) => {
      server.on('connection', (socket, request) => {
        request.socket.on('data', () => {
          chunks += 1
        })
        socket.on('message', (data) => {
          heard.push(Number(data))
          if (heard.length === 200) resolve()
        })
      })
    })
    await new Promise<void>((resolve) => connection.once('open', () => resolve()))
    for (let n = 0; n < 200; n += 1) connection.send(String(n))
    // What is written in this very turn has been handed to the network, but for what was gathered.
    expect(connection.getStats().bufferedAmount).toBeGreaterThan(198 * 7)
    await all
    expect(heard).toEqual(Array.from({ length: 200 }, (_, n) => n))
    expect(chunks).toBeLessThan(20)
  })

  it('a close right behind a burst closes after it', async () => {
    const { server, connection } = await connect()
    const heard: string[] = []
    const closed = new Promise<number>((resolve) => {
      server.on('connection', (socket) => {
        socket.on('message', (data) => heard.push(String(data)))
        socket.on('close', resolve)
      })
    })
    await new Promise<void>((resolve) => connection.once('open', () => resolve()))
    for (const text of ['a', 'b', 'c']) connection.send(text)
    connection.close(1000)
    expect(await closed).toBe(1000)
    expect(heard).toEqual(['a', 'b', 'c'])
  })

  it('numbered texts keep their place among all other frames, on several connections at once', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    cleanups.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const heard = new Map<string, string[]>()
    const closed = new Map(['/a', '/b'].map((path) => [path, Promise.withResolvers<void>()]))
    server.on('connection', (socket, request) => {
      const mine: string[] = []
      heard.set(request.url ?? '', mine)
      socket.on('message', (data, isBinary) => mine.push(isBinary ? `bytes ${data}` : String(data)))
      socket.on('close', (code) => {
        mine.push(`closed ${code}`)
        closed.get(request.url ?? '')?.resolve()
      })
    })
    const sockets = await Promise.all(
      ['/a', '/b'].map(async (path) => {
        const opened = Promise.withResolvers<void>()
        const ended = Promise.withResolvers<void>()
        const socket = openWebSocket(
          {
            url: `ws://127.0.0.1:${port}${path}`,
            token: undefined,
            maxPayload: 1000,
            unref: false,
            protocols: [],
            WebSocket: undefined,
          },
          {
            opened: () => opened.resolve(),
            ended: () => ended.resolve(),
            frame: () => {},
            numbered: () => {},
            alive: () => {},
            failed: opened.reject,
          },
        )
        await opened.promise
        return { socket, path, ended: ended.promise }
      }),
    )
    const expected = new Map<string, string[]>(sockets.map(({ path }) => [path, []]))
    const long = 'x'.repeat(5000)
    for (let n = 1; n <= 400; n += 1) {
      for (const { socket, path } of sockets) {
        const list = expected.get(path)
        socket.sendNumbered?.(n, n % 50 === 0 ? long : `of ${path}`)
        list?.push(`${n}:${n % 50 === 0 ? long : `of ${path}`}`)
        if (n % 7 === 0) {
          const text = n % 21 === 0 ? long : `text ${n}`
          socket.send(text)
          list?.push(text)
        }
        if (n % 11 === 0) {
          socket.send(new TextEncoder().encode(String(n)))
          list?.push(`bytes ${n}`)
        }
        socket.gather?.()
      }
      if (n % 90 === 0) await new Promise<void>((resolve) => setImmediate(resolve))
    }
    for (const { socket, path } of sockets) {
      socket.beginClose(1000, '')
      expected.get(path)?.push('closed 1000')
    }
    await Promise.all([
      ...sockets.map(({ ended }) => ended),
      ...[...closed.values()].map(({ promise }) => promise),
    ])
    expect(heard).toEqual(expected)
  })

  it.each(['before', 'after'])(
    'sends where a test runner has replaced process.nextTick %s it was loaded',
    async (when) => {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
      await once(server, 'listening')
      cleanups.push(() => server.close())
      const { port } = server.address() as AddressInfo
      const heard: string[] = []
      const all = new Promise<void>((resolve) => {
        server.on('connection', (socket) => {
          socket.on('message', (data) => {
            if (heard.push(String(data)) === 3) resolve()
          })
        })
      })
      const { nextTick } = process
      cleanups.push(() => {
        process.nextTick = nextTick
      })
      // As a mocked one does: what was asked for waits for a test to run it. Node's own modules go on.
      const replace = () => {
        process.nextTick = (act, ...args) => {
          const [, , caller] = new Error().stack?.split('\n') ?? []
          if (!caller?.includes('wsTransport.ts')) nextTick(act, ...args)
        }
      }
      vi.resetModules()
      if (when === 'before') replace()
      const loaded = await import('./wsTransport.ts')
      await new Promise<void>((resolve) => setImmediate(resolve))
      const opened = Promise.withResolvers<void>()
      const socket = loaded.openWebSocket(
        {
          url: `ws://127.0.0.1:${port}`,
          token: undefined,
          maxPayload: 1000,
          unref: false,
          protocols: [],
          WebSocket: undefined,
        },
        {
          opened: () => opened.resolve(),
          ended: () => {},
          frame: () => {},
          numbered: () => {},
          alive: () => {},
          failed: opened.reject,
        },
      )
      cleanups.push(() => socket.drop())
      await opened.promise
      replace()
      for (const text of ['a', 'b', 'c']) {
        socket.send(text)
        socket.gather?.()
      }
      await all
      expect(heard).toEqual(['a', 'b', 'c'])
    },
  )
})
