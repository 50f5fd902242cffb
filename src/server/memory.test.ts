// What strangers can make a backend hold, and who pays for it.

import { createServer } from 'node:http'
import { request as ask } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { FrameClient } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'
import type { Session } from './Session.ts'
import { SessionServer } from './SessionServer.ts'

let backend: Backend
const lines: string[] = []
const start = async (options: BackendOptions = {}) => {
  const log = (...parts: unknown[]) => lines.push(parts.map(String).join(' '))
  backend = await createBackend({
    port: 0,
    logger: { debug: () => {}, info: log, warn: log, error: log },
    ...options,
  })
}
const sockets: { destroy(): unknown }[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  lines.length = 0
  await backend.close({ graceMs: 0 })
})

const MIB = 2 ** 20
/** The head of a masked frame. */
function frameHead(opcode: number, length: number, fin = true): Buffer {
  const head = Buffer.alloc(14)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0xff
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

/** A WebSocket that has sent a part of a message. */
async function half(bytes: number) {
  const { socket, text } = await rawSocket(backend.port, upgradeHead())
  sockets.push(socket)
  let gone = false
  socket.on('close', () => {
    gone = true
  })
  await until(() => text().includes('101'), 'it is open')
  socket.write(frameHead(1, 8 * MIB))
  socket.write(Buffer.alloc(bytes))
  return { socket, gone: () => gone }
}

describe('what one backend holds for all', () => {
  it('messages that do not come whole are paid for by who sends most of them', async () => {
    await start({ maxTotalBufferedBytes: 4 * MIB })
    // Another address: it does not pay for what is held for this one.
    const stranger = new RawClient(backend.port, { localAddress: '127.0.0.2' })
    sockets.push({ destroy: () => stranger.socket.terminate() })
    await stranger.opened()
    const greedy = [await half(MIB), await half(MIB), await half(MIB)]
    stranger.ask('q')
    expect(await stranger.answer('q')).toContain('You said')
    expect(greedy.some(({ gone }) => gone())).toBe(false)
    greedy.push(await half(2 * MIB))
    await until(() => greedy.some(({ gone }) => gone()), 'one is closed')
    stranger.ask('again')
    await stranger.answer('again')
    expect(stranger.closed).toBeUndefined()
    expect(lines.join('\n')).toContain('"maxTotalBufferedBytes"')
  })

  it('a message that is whole is held no more', async () => {
    await start({ maxTotalBufferedBytes: 2 * MIB })
    const user = new RawClient(backend.port)
    sockets.push({ destroy: () => user.socket.terminate() })
    await user.opened()
    for (let n = 0; n < 20; n += 1) {
      user.socket.send(Buffer.alloc(MIB))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => backend.getStats().audioBytes === 20 * MIB, 'all has come')
    expect(user.closed).toBeUndefined()
  })

  it('questions that wait are paid for by who asked them', async () => {
    await start({
      maxTotalBufferedBytes: 3 * MIB,
      responder: {
        async *respond({ id }, { signal }) {
          yield 'x'
          if (id === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve))
        },
      },
    })
    const greedy = new RawClient(backend.port)
    const stranger = new RawClient(backend.port, { localAddress: '127.0.0.2' })
    for (const { socket } of [greedy, stranger]) sockets.push({ destroy: () => socket.terminate() })
    await Promise.all([greedy.opened(), stranger.opened()])
    greedy.ask('hang')
    for (let n = 0; n < 5; n += 1)
      greedy.say({ type: 'message', id: `${n}`, content: 'x', image: 'x'.repeat(MIB) })
    await greedy.closing()
    stranger.ask('q')
    expect(await stranger.answer('q')).toBe('x')
  })

  it('bodies are paid for by who sends most of them, and are told why', async () => {
    await start({ maxTotalBufferedBytes: 2 * MIB, maxBodyBytes: MIB })
    const post = (length: number) =>
      `POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${length}\r\n\r\n{`
    const slow = await Promise.all([1, 2, 3].map(() => rawSocket(backend.port, post(MIB))))
    for (const { socket } of slow) sockets.push(socket)
    await until(() => slow.some(({ text }) => text().startsWith('HTTP/1.1 503')), 'one is refused')
    const { statusCode } = await ask(`${backend.url}/v1/settings`, { method: 'POST', body: '{"a":1}' })
    expect(statusCode).toBe(200)
  })

  it('what is not read is counted at what its frames cost', async () => {
    await start({ maxQueuedBytes: 100_000, writeTimeout: 60_000, messagesPerSecond: 1e6 })
    const { socket, text } = await rawSocket(backend.port, upgradeHead())
    sockets.push(socket)
    await until(() => text().includes('101'), 'it is open')
    socket.pause()
    let gone = false
    socket.on('close', () => {
      gone = true
    })
    // Each is answered with an error of a few bytes.
    const wrong = Buffer.concat([Buffer.from([0x81, 0x81, 0, 0, 0, 0]), Buffer.from('x')])
    const many = Buffer.concat(Array(2000).fill(wrong))
    const flood = () => {
      if (!gone && socket.writable) socket.write(many, () => setImmediate(flood))
    }
    flood()
    await until(() => backend.getStats().connections === 0, 'it is closed', 60_000)
  })
})

describe('what one session server keeps for all clients', () => {
  it.each([true, false])(
    'the queue of an attacker who is away: %s gives way to a message for a stranger',
    async (away) => {
      await start()
      const http = createServer()
      const sessions = new SessionServer({ maxTotalQueueBytes: 10_000, maxFrame: 8000 })
      const found: Session[] = []
      sessions.onSession((session) => found.push(session)).attach(http)
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
      const { port } = http.address() as { port: number }
      try {
        const greedy = new FrameClient(port)
        await greedy.open()
        const stranger = new FrameClient(port, { localAddress: '127.0.0.2' })
        await stranger.open()
        const [attacker, other] = found as [Session, Session]
        if (away) {
          greedy.socket.terminate()
          await until(() => !attacker.connected, 'he is away')
        }
        attacker.send('x'.repeat(4000))
        attacker.send('x'.repeat(4000))
        other.send('y'.repeat(6000))
        await until(() => stranger.messages.length === 1, 'the stranger has his')
        expect([attacker.over, other.over]).toEqual([true, false])
        // Whoever holds most himself is the one whose message finds no room.
        const refused = other.send('z'.repeat(6000))
        await expect(refused.stored).rejects.toMatchObject({ code: 'DROPPED' })
        expect(other.over).toBe(false)
        for (const { socket } of [greedy, stranger]) socket.terminate()
      } finally {
        await sessions.close({ graceMs: 0 })
        http.closeAllConnections()
        http.close()
      }
    },
  )

  it.each([
    ['pings', (client: FrameClient) => client.socket.ping()],
    ['pongs', (client: FrameClient) => client.socket.pong()],
    ['pings of the session', (client: FrameClient) => client.say('{"t":"ping","at":1}')],
    ['flushes', (client: FrameClient) => client.say('{"t":"flush","stream":7}')],
  ])('who sends %s without end is cut, and its session stays', async (_what, send) => {
    await start()
    const http = createServer()
    const sessions = new SessionServer({ controlsPerSecond: 50 })
    const found: Session[] = []
    sessions.onSession((session) => found.push(session)).attach(http)
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    try {
      const client = new FrameClient((http.address() as { port: number }).port)
      const opened = await client.open()
      for (let n = 0; n < 60; n += 1) send(client)
      client.say('1:x')
      await client.acked(1)
      while (client.closed === undefined) {
        for (let n = 0; n < 1000; n += 1) send(client)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(found[0]?.over).toBe(false)
      const again = new FrameClient((http.address() as { port: number }).port)
      expect(await again.resume(opened, 1, 0)).toMatchObject({ rx: 1 })
      again.socket.terminate()
    } finally {
      await sessions.close({ graceMs: 0 })
      http.closeAllConnections()
      http.close()
    }
  })
})
