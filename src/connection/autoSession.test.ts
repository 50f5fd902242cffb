// `session: 'auto'` against real servers: what it ends with, and what it remembers.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { GuruConnection } from '../GuruConnection.ts'
import { SessionServer } from '../server/SessionServer.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function sessionServer(): Server {
  const server = createServer()
  const sessions = new SessionServer().onSession(() => {}).attach(server)
  cleanups.push(() => sessions.close({ graceMs: 0 }))
  return server
}

/** Speaks plain only, and answers offers in the way given. */
function plainServer(onOffer: 'ignores' | number): Server {
  const server = createServer()
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => false })
  server.on('upgrade', (request, socket, head) => {
    if (onOffer !== 'ignores' && request.headers['sec-websocket-protocol']) {
      socket.end(`HTTP/1.1 ${onOffer} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    sockets.handleUpgrade(request, socket, head, (opened) => {
      cleanups.push(() => opened.terminate())
    })
  })
  return server
}

async function freePort(): Promise<number> {
  const server = createTcpServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function connect(port: number) {
  const protocolMemory = new Map<string, 'session' | 'plain'>()
  const connection = new GuruConnection({
    url: `ws://127.0.0.1:${port}/ws`,
    session: 'auto',
    protocolMemory,
    healthUrl: false,
    reconnectDelay: 10,
    connectTimeout: 200,
  })
  cleanups.push(() => connection.dispose())
  const open = new Promise<void>((resolve) => connection.once('open', () => resolve()))
  return { connection, open, remembered: () => [...protocolMemory.values()] }
}

const attempts = (connection: GuruConnection, count: number) =>
  new Promise<void>((resolve) => {
    let seen = 0
    connection.on('reconnecting', () => {
      seen += 1
      if (seen === count) resolve()
    })
  })

describe("session: 'auto'", () => {
  it.each([1, 2, 3, 4, 5])('a server that was down for %i attempts gets its session', async (count) => {
    const port = await freePort()
    const { connection, open, remembered } = connect(port)
    await attempts(connection, count)
    expect(remembered()).toEqual([])
    await listen(sessionServer(), port)
    await open
    expect(connection.lossless).toBe(true)
    expect(remembered()).toEqual(['session'])
  })

  it('so does one whose proxy answered for it with 502', async () => {
    const proxy = createServer()
    proxy.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
    )
    const port = await listen(proxy)
    const { connection, open, remembered } = connect(port)
    await attempts(connection, 3)
    expect(remembered()).toEqual([])
    proxy.close()
    await once(proxy, 'close')
    await listen(sessionServer(), port)
    await open
    expect(connection.lossless).toBe(true)
    expect(remembered()).toEqual(['session'])
  })

  it('so does one that hung', async () => {
    const sockets = new Set<Socket>()
    const hanging = createTcpServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    hanging.listen(0, '127.0.0.1')
    await once(hanging, 'listening')
    const { port } = hanging.address() as AddressInfo
    const { connection, open, remembered } = connect(port)
    await attempts(connection, 2)
    expect(remembered()).toEqual([])
    hanging.close()
    for (const socket of sockets) socket.destroy()
    await once(hanging, 'close')
    await listen(sessionServer(), port)
    await open
    expect(connection.lossless).toBe(true)
  })

  it.each(['ignores', 400, 403, 500] as const)(
    'a server that speaks plain only and answers offers with %s',
    async (onOffer) => {
      const port = await listen(plainServer(onOffer))
      const { connection, open, remembered } = connect(port)
      await open
      expect(connection.lossless).toBe(false)
      expect(remembered()).toEqual(['plain'])
    },
  )
})
